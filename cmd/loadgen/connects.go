//go:build linux

package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// A caller opens a connection, shakes hands and closes it, over and over.
type caller struct {
	r       *run
	fails   uint64
	lengths hist
}

func (c *caller) loop(stop *atomic.Bool, opened *atomic.Uint64) {
	for !stop.Load() {
		start := now()
		x, err := c.r.t.dial()
		if err != nil {
			c.fails++
			c.r.note("%v", err)
			continue
		}
		if x.posts == nil {
			f, hdr := frame(8, []byte{3, 232})
			maskFrame(f, hdr, x.mask)
			_ = rawWrite(x.fd, f) // the server may have closed
		}
		x.close()
		opened.Add(1)
		if c.r.measuring.Load() {
			c.lengths.add(now() - start)
		}
	}
}

// connectAgainAndAgain measures what a connection costs from beginning to end.
func (r *run) connectAgainAndAgain() (*report, error) {
	rep := r.newReport()
	before, err := r.server.first()
	if err != nil {
		return nil, err
	}
	var stop atomic.Bool
	var opened atomic.Uint64
	var wg sync.WaitGroup
	callers := make([]caller, r.conns)
	for i := range callers {
		callers[i].r = r
		wg.Go(func() { callers[i].loop(&stop, &opened) })
	}
	time.Sleep(r.warmup)
	from, _ := r.mark() // what fails here fails again below
	from.ops = opened.Load()
	r.measuring.Store(true)
	time.Sleep(r.duration)
	r.measuring.Store(false)
	ops := opened.Load()
	to, err := r.mark()
	to.ops = ops
	if err != nil {
		rep.Errors["server_gone"] = 1
		to.server = from.server
	}
	stop.Store(true)
	wg.Wait()
	var lengths hist
	for i := range callers {
		lengths.merge(&callers[i].lengths)
		if callers[i].fails > 0 {
			rep.Errors["connects"] += callers[i].fails
		}
	}
	rep.fill(r, from, to)
	rep.Latency = quants(&lengths)
	if r.server.on() {
		rep.fillServer(r, from, to, before)
	}
	return rep, nil
}
