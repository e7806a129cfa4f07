package azure

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// A pool is the service connections of the hub to one endpoint.
type pool struct {
	s         *service
	at        endpoint
	secondary bool

	probe chan struct{} // holds one token: only one failed connection retries at a time

	mu       sync.Mutex
	conns    []*conn    // accepted, and usable for sending
	proven   uint64     // how many have lasted
	failures int        // attempts in a row of which none has come that lasted
	demanded int        // open connections that the service requested
	choices  [256]*conn // by the hash of the key within which order is kept
	load     load
	asked    time.Time // of the last query of its status
}

// A load is what an endpoint reports about itself.
type load struct {
	hasClients                 bool
	clients, servers, capacity int
}

// start keeps n connections until ctx is done.
func (p *pool) start(ctx context.Context, n int) {
	kind := wire.ConnectionDefault
	if p.secondary {
		kind = wire.ConnectionWeak
	}
	for range n {
		p.s.tasks.Go(func() { p.keep(ctx, kind) })
	}
	p.s.tasks.Go(func() { p.watch(ctx) })
}

// brief is for how long a connection must be accepted to count as opened. Else a service
// that accepts each, and closes it, would be called without a pause.
const brief = time.Second

// keep keeps one connection open: it is reopened whenever it has ended.
func (p *pool) keep(ctx context.Context, kind int) {
	for probes := false; ctx.Err() == nil; {
		if probes && !p.await(ctx) {
			return
		}
		var proof *time.Timer
		release := sync.OnceFunc(func() {
			if probes {
				p.probe <- struct{}{}
			}
		})
		err := p.run(ctx, kind, "", func(c *conn) {
			p.joined(c)
			proof = time.AfterFunc(brief, func() { // it is stopped below, when the connection has ended
				p.lasted()
				release()
			})
		})
		accepted := proof != nil
		lasted := accepted && !proof.Stop()
		tries := 0
		if !lasted {
			tries = p.failed(probes)
		}
		switch {
		case ctx.Err() != nil:
		case accepted:
			p.s.log.Warn("service connection lost", "endpoint", p.at.name, "error", err)
		default:
			p.s.log.Warn("service connection not opened", "endpoint", p.at.name, "tries", tries, "error", err)
		}
		release()
		probes = !lasted
	}
}

// failed counts a failed attempt: those of one connection one by one, and the first
// ones of all connections together as one.
func (p *pool) failed(probe bool) (failures int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if probe || p.failures == 0 {
		p.failures++
	}
	return p.failures
}

// backOff is how long to wait before the next attempt.
func backOff(failures int) time.Duration {
	if failures <= 1 {
		return 0 // the first one at once
	}
	d := time.Minute
	if failures <= 7 {
		d = time.Second << (failures - 2)
	}
	return d + rand.N(time.Second)
}

// await waits until a failed connection may be retried: the one that gets the token
// waits; the others follow at once if it succeeds. It reports false, without the
// token, if ctx is done.
func (p *pool) await(ctx context.Context) bool {
	before, _ := p.attempts()
	select {
	case <-p.probe:
	case <-ctx.Done():
		return false
	}
	proven, failures := p.attempts()
	if proven != before {
		return true
	}
	wait := time.NewTimer(backOff(failures))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		p.probe <- struct{}{}
		return false
	}
}

func (p *pool) attempts() (proven uint64, failures int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proven, p.failures
}

// lasted counts a connection that was accepted and is still there.
func (p *pool) lasted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proven++
	p.failures = 0
}

// joined makes c available for sending.
func (p *pool) joined(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
}

// left removes c, if it is known.
func (p *pool) left(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = slices.DeleteFunc(p.conns, func(other *conn) bool { return other == c })
	for i := range p.choices {
		if p.choices[i] == c {
			p.choices[i] = nil
		}
	}
}

// all returns the connections used for sending.
func (p *pool) all() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.conns)
}

func (p *pool) online() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) > 0
}

// onDemand opens one more connection, which the service requested.
func (p *pool) onDemand(target string) {
	if target == "" {
		return
	}
	most := p.s.opts.MaximumConnections
	p.mu.Lock()
	defer p.mu.Unlock()
	if most > 0 && p.s.opts.InitialConnections+p.demanded >= most {
		return
	}
	p.demanded++
	p.s.tasks.Go(func() {
		err := p.run(p.s.ctx, wire.ConnectionOnDemand, target, p.joined)
		p.s.log.Info("service connection that the service requested has ended", "endpoint", p.at.name, "error", err)
		p.mu.Lock()
		p.demanded--
		p.mu.Unlock()
	})
}

// watch checks the connections every 5 seconds until ctx is done: a silent one is
// closed, and one of them queries the endpoint's status.
func (p *pool) watch(ctx context.Context) {
	look := time.NewTicker(keepAlive)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-look.C:
			conns := p.all()
			for _, c := range conns {
				if now.Sub(time.Unix(0, c.heard.Load())) >= silence {
					p.s.log.Warn("service connection closed", "endpoint", p.at.name, "error", errSilent)
					c.leave()
				}
			}
			if len(conns) > 0 && now.Sub(p.asked) >= statusInterval {
				p.asked = now
				conns[rand.N(len(conns))].control(&wire.Ping{Messages: []string{pingStatus, active}})
			}
		}
	}
}

// A sendKey says which connection carries a message.
type sendKey struct {
	via  *conn  // that of the receiver, a client of this server; nil: it has none
	name string // messages with the same one keep their order
}

var seed = maphash.MakeSeed()

// choose returns the connection that carries the messages of key, so that they keep
// their order; nil if there is none.
func (p *pool) choose(key string) *conn {
	at := maphash.String(seed, key) % uint64(len(p.choices))
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) == 0 {
		return nil
	}
	if p.choices[at] == nil {
		p.choices[at] = p.conns[rand.N(len(p.conns))]
	}
	return p.choices[at]
}

// send sends m. A message for a client of this server takes the connection of that
// client; otherwise, within a call, it takes that of the caller, so that what the call
// sends arrives before its answer.
func (p *pool) send(ctx context.Context, key sendKey, m wire.Message) error {
	for _, c := range []*conn{key.via, openedBy(ctx)} {
		if c == nil || c.pool != p {
			continue
		}
		if err := c.push(ctx, m); !errors.Is(err, errNoConnection) {
			return err
		}
	}
	for range 3 {
		c := p.choose(key.name)
		if c == nil {
			break
		}
		if err := c.push(ctx, m); !errors.Is(err, errNoConnection) {
			return err
		}
		p.left(c)
	}
	return errNoConnection
}

// serverURL is the URL that a service connection is opened with.
func (p *pool) serverURL(id, target string) string {
	u := p.at.serverBase + "server/?hub=" + p.s.name + "&cid=" + id
	if target != "" {
		u += "&target=" + url.QueryEscape(target)
	}
	return u
}
