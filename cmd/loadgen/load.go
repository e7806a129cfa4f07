//go:build linux

package main

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// A mark is all that is counted, at one moment.
type mark struct {
	at                           int64
	ops, deliveries, reads, sent uint64
	server                       procStat
	own                          float64 // CPU seconds of the generator
}

func (r *run) mark() (mark, error) {
	m := mark{ops: r.ops(), deliveries: r.deliveries(), reads: r.reads(), sent: r.sent(), at: now(), own: selfCPU()}
	var err error
	m.server, err = r.server.read()
	return m, err
}

// load connects, sends for the time that the flags say, and reports what was
// measured between its two marks.
func (r *run) load() (*report, error) {
	rep := r.newReport()
	before, err := r.server.first()
	if err != nil {
		return nil, err
	}
	for _, w := range r.workers {
		r.polling.Go(w.loop)
	}
	var connects, late hist
	if err := r.connect(&connects); err != nil {
		return nil, err
	}
	if err := r.assign(); err != nil {
		return nil, err
	}
	time.Sleep(r.settle)
	// What fails here fails again at the marks, and is reported there.
	open, _ := r.server.read()
	r.begin(&late)
	time.Sleep(r.warmup)
	from, _ := r.mark()
	r.from = from.at
	r.measuring.Store(true)
	rss, stalled := r.watch(from)
	r.measuring.Store(false)
	to, err := r.mark()
	if err != nil {
		rep.Errors["server_gone"] = 1
		to.server = from.server
	}
	if stalled {
		rep.Errors["stalled"] = 1
	}
	rep.Missing = r.drain()
	r.close() // what workers have counted can be read
	rep.fill(r, from, to)
	rep.ConnectLat, rep.PacerLate = quants(&connects), quants(&late)
	if r.server.on() {
		rep.fillServer(r, from, to, before)
		rep.Server.RSSOpen, rep.Server.RSSMax = open.RSS, rss
		rep.Server.PerConn = (to.server.RSS - before.RSS) * 1024 / int64(r.total())
	}
	return rep, nil
}

// begin starts to send.
func (r *run) begin(late *hist) {
	r.sending.Store(true)
	switch {
	case r.mode == "idle":
	case !r.closedLoop:
		r.pacing.Go(func() { r.pace(late) })
	case r.echo != nil:
		for _, c := range r.all {
			c.invoke(r.echo, r.depth, now())
		}
	case r.mode == "stream":
		for _, c := range r.all {
			c.write(c.stream.begin(now()))
		}
	default:
		for _, g := range r.groupList {
			g.keepInFlight()
		}
	}
}

// watch waits for the end of the measured window, or until nothing comes any
// more. It returns the largest memory of the server that it saw.
func (r *run) watch(from mark) (rss int64, stalled bool) {
	rss = from.server.RSS
	last, lastAt := from.ops+from.deliveries, time.Now()
	for end := time.Now().Add(r.duration); time.Now().Before(end); {
		time.Sleep(min(time.Until(end), 200*time.Millisecond))
		if len(r.server.pids) > 0 {
			s, _ := r.server.read() // a server that has ended is noticed at the end
			rss = max(rss, s.RSS)
		}
		if seen := r.ops() + r.deliveries(); seen != last {
			last, lastAt = seen, time.Now()
		} else if r.mode != "idle" && time.Since(lastAt) > r.stall {
			r.note("no progress for %v", r.stall)
			return rss, true
		}
	}
	return rss, false
}

// drain stops sending and waits for what is on its way, so that only what is
// really missing is counted as missing.
func (r *run) drain() (missing int64) {
	r.sending.Store(false)
	r.pacing.Wait()
	for end := time.Now().Add(max(r.stall, 3*time.Second)); time.Now().Before(end) && r.missing() > 0; {
		time.Sleep(20 * time.Millisecond)
	}
	return r.missing()
}

// close ends the workers and closes the connections. Closing twice is allowed.
func (r *run) close() {
	r.sending.Store(false)
	r.ending.Store(true)
	r.stop.Store(true)
	r.pacing.Wait()
	r.polling.Wait()
	r.t.posting.Wait()
	for _, c := range r.all {
		c.close()
	}
	for _, w := range r.workers {
		w.close()
	}
}

// pace sends at a fixed rate from its own thread. Messages carry the time they
// were due, so a late generator or a stuck server shows in the latency.
func (r *run) pace(late *hist) {
	runtime.LockOSThread()
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, 29, 1, 0) // PR_SET_TIMERSLACK 1 ns
	start := now()
	for i := 0; r.sending.Load(); i++ {
		due := start + int64(float64(i)*1e9/r.rate)
		if !r.sleepUntil(due) {
			return
		}
		if r.echo != nil {
			r.all[i%len(r.all)].invoke(r.echo, 1, due)
		} else {
			r.groupList[i%len(r.groupList)].send(due)
		}
		if r.measuring.Load() {
			late.add(now() - due)
		}
	}
}

// sleepUntil reports false if sending has ended meanwhile.
func (r *run) sleepUntil(due int64) bool {
	for d := due - now(); d > 0; d = due - now() {
		ts := syscall.NsecToTimespec(min(d, 1e8))
		_, _, _ = syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if !r.sending.Load() {
			return false
		}
	}
	return true
}
