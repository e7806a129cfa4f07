//go:build linux

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

type run struct {
	t          *target
	proto      protocol
	depth      int
	echo       *template
	ping       []byte
	pingEvery  time.Duration
	closedLoop bool
	sequenced  bool
	workers    []*worker
	groups     []*group

	connMu sync.Mutex
	conns  []*conn

	stop, ending, sending, measuring atomic.Bool

	noteMu sync.Mutex
	notes  []string
}

// note keeps the first few things that went wrong, in words.
func (r *run) note(f string, a ...any) {
	r.noteMu.Lock()
	defer r.noteMu.Unlock()
	if len(r.notes) >= 5 || r.ending.Load() {
		return
	}
	if s := fmt.Sprintf(f, a...); !slices.Contains(r.notes, s) {
		r.notes = append(r.notes, s)
	}
}

func (r *run) total(f func(*counters) *atomic.Uint64) (n uint64) {
	for _, w := range r.workers {
		n += f(&w.counters).Load()
	}
	return n
}

func (r *run) ops() uint64 { return r.total(func(c *counters) *atomic.Uint64 { return &c.ops }) }
func (r *run) deliveries() uint64 {
	return r.total(func(c *counters) *atomic.Uint64 { return &c.deliv })
}

// connect opens n connections at about ramp a second, dialers at a time.
func (r *run) connect(n, ramp, dialers int, h *hist) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	var failed int
	tick := make(chan struct{}, dialers)
	for range dialers {
		wg.Go(func() {
			for range tick {
				t0 := now()
				c, err := r.t.dial()
				d := now() - t0
				mu.Lock()
				if err != nil {
					failed++
					if first == nil {
						first = err
					}
					mu.Unlock()
					continue
				}
				h.add(d)
				mu.Unlock()
				r.adopt(c)
			}
		})
	}
	start := time.Now()
	for i := range n {
		if ramp > 0 {
			if d := time.Duration(float64(i)/float64(ramp)*1e9) - time.Since(start); d > time.Millisecond {
				time.Sleep(d)
			}
		}
		tick <- struct{}{}
	}
	close(tick)
	wg.Wait()
	if failed > 0 {
		return fmt.Errorf("%d of %d connections failed; first: %w", failed, n, first)
	}
	return nil
}

// adopt hands a fresh connection to a worker.
func (r *run) adopt(c *conn) {
	r.connMu.Lock()
	w := r.workers[len(r.conns)%len(r.workers)]
	c.w, c.idx = w, len(w.conns)
	c.lastPing = now() - rand.Int64N(int64(r.pingEvery))
	if len(c.pend) > 0 {
		rest := w.frames(c, append([]byte(nil), c.pend...)) // before the worker sees it
		c.pend = append(c.pend[:0], rest...)
	}
	r.conns = append(r.conns, c)
	w.conns = append(w.conns, c)
	r.connMu.Unlock()
	_ = syscall.EpollCtl(w.ep, syscall.EPOLL_CTL_ADD, c.fd, w.event(c, false))
}

func die(f string, a ...any) {
	fmt.Fprintf(os.Stderr, "loadgen: "+f+"\n", a...)
	os.Exit(1)
}

type quantiles struct {
	N    uint64  `json:"n"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func quants(h *hist) *quantiles {
	if h.n == 0 {
		return nil
	}
	return &quantiles{h.n, round(float64(h.sum) / float64(h.n) / 1e3), round(h.q(.5)), round(h.q(.9)), round(h.q(.99)), round(h.q(.999)), round(float64(h.max) / 1e3)}
}

func round(v float64) float64 { return float64(int64(v*1000+.5)) / 1000 }

type serverReport struct {
	User        float64 `json:"cpu_user_s"`
	Sys         float64 `json:"cpu_sys_s"`
	Cores       float64 `json:"cores"`
	PerOp       float64 `json:"cpu_us_per_op,omitempty"`
	PerDelivery float64 `json:"cpu_us_per_delivery,omitempty"`
	PerConnS    float64 `json:"cpu_us_per_conn_per_s,omitempty"`
	RSSBefore   int64   `json:"rss_kib_before"`
	RSSOpen     int64   `json:"rss_kib_connected"`
	RSSEnd      int64   `json:"rss_kib_end"`
	RSSMax      int64   `json:"rss_kib_max_sampled"`
	RSSPeak     int64   `json:"rss_kib_peak"`
	PerConn     int64   `json:"rss_bytes_per_conn,omitempty"`
	Threads     int     `json:"threads"`
}

type report struct {
	Mode       string            `json:"mode"`
	Label      string            `json:"label,omitempty"`
	Protocol   string            `json:"protocol"`
	Conns      int               `json:"connections"`
	Groups     int               `json:"groups,omitempty"`
	Depth      int               `json:"depth,omitempty"`
	Rate       float64           `json:"rate_asked,omitempty"`
	MsgBytes   int               `json:"message_bytes,omitempty"`
	Seconds    float64           `json:"seconds"`
	Sent       uint64            `json:"sent,omitempty"`
	Ops        uint64            `json:"ops"`
	OpsPerS    float64           `json:"ops_per_s"`
	Deliv      uint64            `json:"deliveries,omitempty"`
	DelivPerS  float64           `json:"deliveries_per_s,omitempty"`
	PerRead    float64           `json:"messages_per_read,omitempty"`
	Missing    int64             `json:"missing"`
	Latency    *quantiles        `json:"latency_us,omitempty"`
	ConnectLat *quantiles        `json:"connect_us,omitempty"`
	PacerLate  *quantiles        `json:"pacer_late_us,omitempty"`
	Errors     map[string]uint64 `json:"errors"`
	Notes      []string          `json:"notes,omitempty"`
	Pings      uint64            `json:"server_pings"`
	Server     *serverReport     `json:"server,omitempty"`
	GenCPU     float64           `json:"generator_cpu_s"`
	GenCores   float64           `json:"generator_cores"`
}

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	var (
		mode     = flag.String("mode", "echo", "echo, broadcast, groups, idle, connect, or agent")
		rawURL   = flag.String("url", "http://127.0.0.1:5000/hub", "hub address")
		protoN   = flag.String("protocol", "json", "json, messagepack, or raw (plain records, no hub)")
		skip     = flag.Bool("skip-negotiate", false, "open the WebSocket without negotiating")
		nConn    = flag.Int("c", 50, "connections (groups mode: per group)")
		nGroup   = flag.Int("groups", 10, "groups mode: number of groups")
		depth    = flag.Int("depth", 1, "messages in flight per connection (echo) or per group (broadcast, groups)")
		rate     = flag.Float64("rate", 0, "open loop: messages a second in all (0 = closed loop)")
		payload  = flag.Int("payload", 60, "bytes of the text argument (at least 30)")
		warm     = flag.Duration("warmup", time.Second, "time before the measured window")
		dur      = flag.Duration("duration", 5*time.Second, "measured window")
		ramp     = flag.Int("ramp", 0, "connections opened a second (0 = as fast as the dialers go)")
		dialers  = flag.Int("dialers", 16, "connections being opened at once")
		settle   = flag.Duration("settle", time.Second, "pause after connecting before memory is read")
		nWork    = flag.Int("workers", max(1, runtime.NumCPU()/2), "polling threads")
		invoke   = flag.Bool("invoke", false, "broadcast, groups: ask for a completion of each send")
		pidList  = flag.String("pid", "", "server process id(s), comma separated: report its CPU and memory")
		agent    = flag.String("agent", "", "address of an agent on the server's machine, e.g. http://host:9100/")
		listen   = flag.String("listen", "127.0.0.1:9100", "agent mode: address to serve -pid figures on")
		mEcho    = flag.String("echo-method", "Echo", "hub method: text -> text")
		mBcast   = flag.String("broadcast-method", "Broadcast", "hub method: text to all clients, the caller too")
		mGroup   = flag.String("group-method", "SendToGroup", "hub method: group, text")
		mJoin    = flag.String("join-method", "JoinGroup", "hub method: group")
		pingEv   = flag.Duration("ping", 15*time.Second, "client hub ping interval")
		label    = flag.String("label", "", "copied into the report")
		headers  list
		stallMax = flag.Duration("stall", 5*time.Second, "closed loop: give up after this long without progress")
	)
	flag.Var(&headers, "H", "extra request header \"Name: value\" (repeatable)")
	flag.Parse()
	var src statSource
	src.agent = *agent
	for _, s := range strings.FieldsFunc(*pidList, func(c rune) bool { return c == ',' }) {
		pid, err := strconv.Atoi(s)
		if err != nil {
			die("-pid: %v", err)
		}
		src.pids = append(src.pids, pid)
	}
	if *mode == "agent" {
		die("%v", serveAgent(*listen, src.pids))
	}
	proto, err := parseProtocol(*protoN)
	if err != nil {
		die("%v", err)
	}
	if *depth > ringSize/2 {
		die("-depth: at most %d", ringSize/2)
	}
	r := &run{proto: proto, depth: *depth, ping: proto.ping(), pingEvery: *pingEv, closedLoop: *rate == 0}
	if r.t, err = newTarget(*rawURL, proto, *skip, headers); err != nil {
		die("%v", err)
	}
	r.sequenced = (*mode == "broadcast" || *mode == "groups") && !*invoke
	total := *nConn
	msg := text(*payload)
	var msgT *template
	switch *mode {
	case "echo":
		r.echo = proto.invocation(true, *mEcho, msg)
		msgT = r.echo
	case "broadcast":
		*nGroup = 1
		msgT = proto.invocation(*invoke, *mBcast, msg)
	case "groups":
		total = *nConn * *nGroup
	case "idle", "connect":
		r.closedLoop = false
	default:
		die("unknown mode %q", *mode)
	}
	if runtime.GOMAXPROCS(0) < *nWork+2 {
		runtime.GOMAXPROCS(*nWork + 2) // workers hold their threads
	}
	for range *nWork {
		w, err := newWorker(r)
		if err != nil {
			die("%v", err)
		}
		r.workers = append(r.workers, w)
	}

	rep := report{Mode: *mode, Label: *label, Protocol: proto.name(), Conns: total, Rate: *rate, Errors: map[string]uint64{}}
	var before, open, s0, s1 procStat
	if src.on() {
		src.resetPeak()
		if before, err = src.read(); err != nil {
			die("server figures: %v", err)
		}
	}
	var conLat, late hist
	if *mode == "connect" {
		connectMode(r, *nConn, *warm, *dur, src, before, &rep)
		return
	}
	var wwg sync.WaitGroup
	for _, w := range r.workers {
		wwg.Go(w.loop)
	}
	if err := r.connect(total, *ramp, *dialers, &conLat); err != nil {
		die("%v", err)
	}

	// Roles.
	switch *mode {
	case "broadcast":
		g := &group{r: r, t: msgT, conns: r.conns, sender: r.conns[0]}
		r.groups = append(r.groups, g)
		for _, c := range r.conns {
			c.g.Store(g)
		}
	case "groups":
		for i := range *nGroup {
			name := fmt.Sprintf("g%05d", i)
			t := proto.invocation(*invoke, *mGroup, name, msg)
			msgT = t
			g := &group{r: r, t: t}
			for j := range *nConn {
				c := r.conns[j**nGroup+i]
				c.g.Store(g)
				g.conns = append(g.conns, c)
				c.invoke(proto.invocation(true, *mJoin, name), 1, now())
			}
			g.sender = g.conns[0]
			r.groups = append(r.groups, g)
		}
		t0 := time.Now()
		for r.ops() < uint64(total) {
			if time.Since(t0) > 30*time.Second {
				die("only %d of %d joined their group; notes: %q", r.ops(), total, r.notes)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	time.Sleep(*settle)
	if src.on() {
		open, _ = src.read()
	}

	// Load.
	r.sending.Store(true)
	switch {
	case *mode == "idle":
	case r.closedLoop && r.echo != nil:
		for _, c := range r.conns {
			c.invoke(r.echo, *depth, now())
		}
	case r.closedLoop:
		for _, g := range r.groups {
			g.pump()
		}
	default:
		wwg.Go(func() { pacer(r, *rate, &late) })
	}
	time.Sleep(*warm)
	s0, _ = src.readIf()
	g0 := selfCPU()
	t0 := now()
	o0, d0, rd0 := r.ops(), r.deliveries(), r.reads()
	sent0 := r.sent()
	r.measuring.Store(true)
	rssMax := s0.RSS
	last, lastAt := o0+d0, time.Now()
	for end := time.Now().Add(*dur); time.Now().Before(end); {
		time.Sleep(min(time.Until(end), 200*time.Millisecond))
		if len(src.pids) > 0 {
			s, _ := src.read()
			rssMax = max(rssMax, s.RSS)
		}
		if cur := r.ops() + r.deliveries(); cur != last {
			last, lastAt = cur, time.Now()
		} else if *mode != "idle" && time.Since(lastAt) > *stallMax {
			r.note("no progress for %v", *stallMax)
			rep.Errors["stalled"] = 1
			break
		}
	}
	r.measuring.Store(false)
	o1, d1, rd1 := r.ops(), r.deliveries(), r.reads()
	sent1 := r.sent()
	t1 := now()
	if s1, err = src.readIf(); err != nil {
		rep.Errors["server_gone"] = 1
		s1 = s0
	}
	g1 := selfCPU()

	// Drain, so that nothing sent is called missing unless it is.
	r.sending.Store(false)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if r.missing() <= 0 {
			break
		}
	}
	rep.Missing = r.missing()
	r.ending.Store(true)
	r.stop.Store(true)
	wwg.Wait()
	for _, c := range r.conns {
		c.close()
	}

	var lat hist
	for _, w := range r.workers {
		lat.merge(&w.lat)
	}
	secs := float64(t1-t0) / 1e9
	rep.Seconds = round(secs)
	if r.echo != nil || len(r.groups) > 0 {
		rep.Depth, rep.MsgBytes = *depth, msgT.recLen
		if !r.closedLoop {
			rep.Depth = 0
		}
	}
	if *mode == "groups" {
		rep.Groups = *nGroup
	}
	rep.Sent = sent1 - sent0
	rep.Ops, rep.Deliv = o1-o0, d1-d0
	rep.OpsPerS, rep.DelivPerS = round(float64(rep.Ops)/secs), round(float64(rep.Deliv)/secs)
	if rd1 > rd0 {
		rep.PerRead = round(float64(rep.Ops+rep.Deliv) / float64(rd1-rd0))
	}
	rep.Latency, rep.ConnectLat, rep.PacerLate = quants(&lat), quants(&conLat), quants(&late)
	r.errors(&rep)
	rep.GenCPU, rep.GenCores = round(g1-g0), round((g1-g0)/secs)
	if src.on() {
		sr := &serverReport{User: round(s1.User - s0.User), Sys: round(s1.Sys - s0.Sys), RSSBefore: before.RSS,
			RSSOpen: open.RSS, RSSEnd: s1.RSS, RSSMax: rssMax, RSSPeak: s1.Peak, Threads: s1.Thr}
		cpu := sr.User + sr.Sys
		sr.Cores = round(cpu / secs)
		if rep.Ops > 0 {
			sr.PerOp = round(cpu * 1e6 / float64(rep.Ops))
		}
		if rep.Deliv > 0 {
			sr.PerDelivery = round(cpu * 1e6 / float64(rep.Deliv))
		}
		if *mode == "idle" {
			sr.PerConnS = round(cpu * 1e6 / float64(total) / secs)
		}
		sr.PerConn = (s1.RSS - before.RSS) * 1024 / int64(total)
		rep.Server = sr
	}
	rep.print()
}

func (rep *report) print() {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	_ = e.Encode(rep)
	if len(rep.Errors) > 0 || rep.Missing > 0 {
		os.Exit(1)
	}
}

func (s statSource) readIf() (procStat, error) {
	if !s.on() {
		return procStat{}, nil
	}
	return s.read()
}

func (r *run) reads() uint64 {
	return r.total(func(c *counters) *atomic.Uint64 { return &c.reads })
}

func (r *run) sent() (n uint64) {
	for _, g := range r.groups {
		n += g.sent.Load()
	}
	return n
}

func (r *run) missing() (n int64) {
	for _, g := range r.groups {
		n += int64(g.sent.Load())*int64(len(g.conns)) - int64(g.deliv.Load())
	}
	if r.echo != nil {
		for _, c := range r.conns {
			n += c.open()
		}
	}
	return n
}

func (r *run) errors(rep *report) {
	for k, f := range map[string]func(*counters) *atomic.Uint64{
		"completions":   func(c *counters) *atomic.Uint64 { return &c.errs },
		"unmatched":     func(c *counters) *atomic.Uint64 { return &c.unmatched },
		"sequence_gaps": func(c *counters) *atomic.Uint64 { return &c.lost },
		"out_of_order":  func(c *counters) *atomic.Uint64 { return &c.disorder },
		"disconnects":   func(c *counters) *atomic.Uint64 { return &c.closed },
		"odd_messages":  func(c *counters) *atomic.Uint64 { return &c.odd },
		"bad_ws_frames": func(c *counters) *atomic.Uint64 { return &c.bad },
	} {
		if n := r.total(f); n > 0 {
			rep.Errors[k] = n
		}
	}
	rep.Pings = r.total(func(c *counters) *atomic.Uint64 { return &c.pings })
	rep.Notes = r.notes
}

// pacer sends at a fixed rate from its own thread. Messages carry the time
// they were due, so a late generator or a stuck server shows in the latency.
func pacer(r *run, rate float64, late *hist) {
	runtime.LockOSThread()
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, 29, 1, 0) // PR_SET_TIMERSLACK 1 ns
	start := now()
	for i := 0; r.sending.Load(); i++ {
		due := start + int64(float64(i)*1e9/rate)
		for {
			d := due - now()
			if d <= 0 {
				break
			}
			ts := syscall.NsecToTimespec(min(d, 1e8))
			_, _, _ = syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
			if !r.sending.Load() {
				return
			}
		}
		if r.echo != nil {
			r.conns[i%len(r.conns)].invoke(r.echo, 1, due)
		} else {
			r.groups[i%len(r.groups)].send(due)
		}
		if r.measuring.Load() {
			late.add(now() - due)
		}
	}
}

// connectMode opens, shakes hands and closes, over and over.
func connectMode(r *run, c int, warm, dur time.Duration, src statSource, before procStat, rep *report) {
	var stop, meas atomic.Bool
	var n, fails atomic.Uint64
	var wg sync.WaitGroup
	hs := make([]hist, c)
	for i := range c {
		wg.Go(func() {
			for !stop.Load() {
				t0 := now()
				x, err := r.t.dial()
				if err != nil {
					fails.Add(1)
					r.note("%v", err)
					continue
				}
				f, hdr := frame(8, []byte{3, 232})
				maskFrame(f, hdr, x.mask)
				_ = rawWrite(x.fd, f)
				x.close()
				n.Add(1)
				if meas.Load() {
					hs[i].add(now() - t0)
				}
			}
		})
	}
	time.Sleep(warm)
	s0, _ := src.readIf()
	g0, t0, n0 := selfCPU(), now(), n.Load()
	meas.Store(true)
	time.Sleep(dur)
	meas.Store(false)
	secs := float64(now()-t0) / 1e9
	rep.Ops = n.Load() - n0
	s1, _ := src.readIf()
	rep.GenCPU = round(selfCPU() - g0)
	stop.Store(true)
	wg.Wait()
	var h hist
	for i := range hs {
		h.merge(&hs[i])
	}
	rep.Seconds, rep.OpsPerS, rep.Latency = round(secs), round(float64(rep.Ops)/secs), quants(&h)
	rep.GenCores = round(rep.GenCPU / secs)
	if f := fails.Load(); f > 0 {
		rep.Errors["connects"] = f
	}
	rep.Notes = r.notes
	if src.on() {
		cpu := s1.User + s1.Sys - s0.User - s0.Sys
		rep.Server = &serverReport{User: round(s1.User - s0.User), Sys: round(s1.Sys - s0.Sys), Cores: round(cpu / secs),
			PerOp: round(cpu * 1e6 / float64(max(rep.Ops, 1))), RSSBefore: before.RSS, RSSEnd: s1.RSS, RSSPeak: s1.Peak, Threads: s1.Thr}
	}
	rep.print()
}
