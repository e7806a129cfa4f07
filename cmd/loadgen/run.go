//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A run is one measurement: connections, the workers that poll them, and who
// sends what.
type run struct {
	*config
	t          *target
	proto      protocol
	echo       *template // echo mode only
	hello      []byte    // a hub ping
	closedLoop bool
	sequenced  bool // messages to a group are numbered without gaps
	workers    []*worker
	polling    sync.WaitGroup // the workers
	pacing     sync.WaitGroup
	groupList  []*group

	connMu sync.Mutex
	all    []*conn

	stop, ending, sending, measuring atomic.Bool
	from                             int64 // when it began to measure; set before measuring

	noteMu sync.Mutex
	notes  []string
}

func newRun(c *config) (*run, error) {
	proto, err := parseProtocol(c.protocol)
	if err != nil {
		return nil, err
	}
	loaded := c.mode != "idle" && c.mode != "connect" && c.mode != "part"
	r := &run{config: c, proto: proto, hello: proto.ping(), closedLoop: loaded && c.rate == 0,
		sequenced: (c.mode == "broadcast" || c.mode == "groups") && !c.invoke}
	if c.mode == "echo" {
		r.echo = proto.invocation(true, c.methods.echo, text(c.payload))
		if c.argument != "" {
			r.echo = jsonCall(c.methods.echo, strings.ReplaceAll(c.argument, textMark, `"`+text(c.payload)+`"`))
		}
	}
	if r.t, err = newTarget(c, proto); err != nil {
		return nil, err
	}
	if runtime.GOMAXPROCS(0) < c.workers+2 {
		runtime.GOMAXPROCS(c.workers + 2) // workers hold their threads
	}
	for range c.workers {
		w, err := newWorker(r)
		if err != nil {
			r.close()
			return nil, err
		}
		r.workers = append(r.workers, w)
	}
	return r, nil
}

// total is how many connections the run has.
func (r *run) total() int {
	if r.mode == "groups" {
		return r.conns * r.groups
	}
	return r.conns
}

// note keeps the texts of the first few faults.
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

// connect opens the connections, ramp a second, with so many dialers at a time.
func (r *run) connect(h *hist) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	var failed int
	tick := make(chan struct{}, r.dialers)
	for range r.dialers {
		wg.Go(func() {
			for range tick {
				t0 := now()
				c, err := r.t.dial()
				d := now() - t0
				mu.Lock()
				if err == nil {
					h.add(d)
				} else if failed++; first == nil {
					first = err
				}
				mu.Unlock()
				if err == nil {
					r.adopt(c)
				}
			}
		})
	}
	start := time.Now()
	for i := range r.total() {
		if r.ramp > 0 {
			if d := time.Duration(float64(i)/float64(r.ramp)*1e9) - time.Since(start); d > time.Millisecond {
				time.Sleep(d)
			}
		}
		tick <- struct{}{}
	}
	close(tick)
	wg.Wait()
	if failed > 0 {
		return fmt.Errorf("%d of %d connections failed; first: %w", failed, r.total(), first)
	}
	return nil
}

// adopt hands a fresh connection to a worker.
func (r *run) adopt(c *conn) {
	r.connMu.Lock()
	w := r.workers[len(r.all)%len(r.workers)]
	c.w, c.idx = w, len(w.conns)
	if c.posts != nil {
		c.posts.note = r.note
	}
	if r.mode == "stream" {
		c.stream = newStream(r, c.mask)
	}
	c.lastPing = now() - rand.Int64N(int64(r.ping))
	if len(c.pend) > 0 {
		rest := w.take(c, append([]byte(nil), c.pend...)) // before the worker sees it
		c.pend = append(c.pend[:0], rest...)
	}
	r.all = append(r.all, c)
	w.conns = append(w.conns, c)
	r.connMu.Unlock()
	_ = syscall.EpollCtl(w.ep, syscall.EPOLL_CTL_ADD, c.fd, w.event(c, false))
}

// assign decides which connection sends what, and to which others.
func (r *run) assign() error {
	switch r.mode {
	case "broadcast":
		r.addGroup(r.proto.invocation(r.invoke, r.methods.broadcast, text(r.payload)), r.all)
	case "groups":
		for i := range r.groups {
			name := fmt.Sprintf("g%05d", i)
			var members []*conn
			for j := range r.conns {
				c := r.all[j*r.groups+i]
				members = append(members, c)
				c.invoke(r.proto.invocation(true, r.methods.join, name), 1, now())
			}
			r.addGroup(r.proto.invocation(r.invoke, r.methods.group, name, text(r.payload)), members)
		}
		for start := time.Now(); r.ops() < uint64(r.total()); time.Sleep(10 * time.Millisecond) {
			if time.Since(start) > 30*time.Second {
				return fmt.Errorf("only %d of %d joined their group; notes: %q", r.ops(), r.total(), r.notes)
			}
		}
	}
	return nil
}

// addGroup makes a group of members, the first of which sends.
func (r *run) addGroup(t *template, members []*conn) {
	g := &group{r: r, t: t, conns: members, sender: members[0]}
	r.groupList = append(r.groupList, g)
	for _, c := range members {
		c.g.Store(g)
	}
}

func (r *run) sum(f func(*counters) *atomic.Uint64) (n uint64) {
	for _, w := range r.workers {
		n += f(&w.counters).Load()
	}
	return n
}

func (r *run) ops() uint64   { return r.sum(func(c *counters) *atomic.Uint64 { return &c.ops }) }
func (r *run) reads() uint64 { return r.sum(func(c *counters) *atomic.Uint64 { return &c.reads }) }
func (r *run) deliveries() uint64 {
	return r.sum(func(c *counters) *atomic.Uint64 { return &c.deliv })
}

func (r *run) sent() (n uint64) {
	for _, g := range r.groupList {
		n += g.sent.Load()
	}
	return n
}

// missing is what was sent and has not been answered or delivered.
func (r *run) missing() (n int64) {
	for _, g := range r.groupList {
		n += g.missing()
	}
	for _, c := range r.all {
		switch {
		case r.echo != nil:
			n += c.open()
		case r.mode == "stream":
			n += c.stream.missing()
		}
	}
	return n
}
