package backplane

import (
	"sync"
	"sync/atomic"
	"time"
)

// Heartbeat of the subscribing connection. A connection can break silently, for
// instance when a firewall forgets it; then no error is reported.
const (
	heartbeat   = time.Second // PING when nothing was heard for this long
	silentAfter = 5           // heartbeats without anything heard
	probeGrace  = time.Second // for a silent connection, once Redis answers another one
)

// A life is the state of a link, as this node sees it.
type life int32

const (
	alive life = iota
	// doubted is a link that was silent for silentAfter heartbeats. It is not
	// given up at once: if only the network is broken, everything that was sent
	// meanwhile arrives when it recovers.
	doubted
	// dead is a link that has ended, or that is silent though Redis answers others.
	dead
)

// A pulse tracks whether its link is alive:
//
//	alive -> doubted   silentAfter heartbeats without anything heard (heartbeat)
//	doubted -> alive   something was heard (hear, revive)
//	doubted -> dead    Redis answers a new connection, and this one stays silent (die)
//	any -> dead        the link has ended (die)
//
// The reader calls hear and revive, the writer heartbeat. A goroutine of its
// own probes, since a probe waits for Redis and the writer must not.
type pulse struct {
	heard atomic.Uint64 // grows with each thing heard
	now   atomic.Int32  // a life

	mu     sync.Mutex // held while now changes and the change is reported, so that both have the same order
	seen   uint64     // heard, at the last heartbeat
	silent int        // heartbeats since
}

// What the writer does at a heartbeat.
type duty int

const (
	rest  duty = iota
	ask        // with a PING
	probe      // with a new connection
)

func (p *pulse) life() life { return life(p.now.Load()) }

// hear counts something the reader has received. It reports whether the link is
// doubted, and must be revived.
func (p *pulse) hear() (late bool) {
	p.heard.Add(1)
	return p.life() == doubted
}

// revive ends the doubt, and calls tell.
func (p *pulse) revive(tell func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life() == doubted {
		p.now.Store(int32(alive))
		p.silent = 0
		tell()
	}
}

// heartbeat is called once a heartbeat. When the link becomes doubted it calls
// tell, and the link must be probed.
func (p *pulse) heartbeat(tell func()) duty {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := p.heard.Load()
	switch {
	case p.life() != alive:
		return rest
	case heard != p.seen:
		p.seen, p.silent = heard, 0
		return rest
	}
	if p.silent++; p.silent < silentAfter {
		return ask
	}
	if !p.doubt(heard) {
		return rest
	}
	tell()
	return probe
}

// doubt makes the link doubted, unless something was received since heard was read:
// then the reader may have missed that it had to revive the link. p.mu is held.
func (p *pulse) doubt(heard uint64) bool {
	p.now.Store(int32(doubted)) // from now on the reader checks
	if p.heard.Load() == heard {
		return true
	}
	p.now.Store(int32(alive))
	p.silent = 0
	return false
}

// die makes the link dead for good; with onlyDoubted, only if it is doubted. It
// reports whether it did.
func (p *pulse) die(onlyDoubted bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.life(); now == dead || onlyDoubted && now != doubted {
		return false
	}
	p.now.Store(int32(dead))
	return true
}

// heartbeat checks the current link.
func (r *Redis) heartbeat() {
	r.mu.Lock()
	l := r.link
	r.mu.Unlock()
	select {
	case <-l.started:
		if l.err != nil {
			return // there was no connection; the next link is being made
		}
	default:
		return // still connecting, which has its own time limits
	}
	switch l.pulse.heartbeat(func() { r.state.set(Health{State: Degraded, Err: errSilent}) }) {
	case ask:
		_ = r.ping(l) // the reader sees an error
	case probe:
		r.running.Go(func() { r.probe(l) })
	}
}

// probe waits until Redis can be reached over another connection. If l is still
// silent then, it is dead, and is replaced.
func (r *Redis) probe(l *link) {
	for !r.answers() {
		sleep(r.ctx, lastPause)
		if r.ctx.Err() != nil || l.pulse.life() != doubted {
			return
		}
	}
	sleep(r.ctx, probeGrace)
	if r.ctx.Err() == nil && l.pulse.die(true) {
		r.end(l, errSilent)
	}
}

// answers reports whether Redis answers on a new connection. Those of the pool may
// be as dead as the silent one.
func (r *Redis) answers() bool {
	probe := r.client.Subscribe(r.ctx)
	defer probe.Close()
	return probe.Ping(r.ctx) == nil // connecting waits for an answer
}
