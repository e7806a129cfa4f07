package gateway

import (
	"errors"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/backplane"
)

// What goes to other gateways goes by the bus, which has space for so much. Whoever
// asks for something waits for that, as fleet.offer does. What answers others waits for
// nobody: it is mail, which a goroutine of its own brings to the bus.

// An envelope is a letter that waits for the bus.
type envelope struct {
	to      string // a gateway; empty: all
	payload []byte
	then    func(hearers int64, err error)
}

// cost is the memory of an envelope, about.
func (p *envelope) cost() int { return 128 + len(p.payload) }

// publish sends a letter to all gateways. The sender waits where too much is on its
// way; what has no place then, or when Redis is away, is dropped.
func (f *fleet) publish(by sender, l letter) {
	l.from = f.g.opts.InstanceID
	if err := f.offer(by, envelope{payload: l.encode(), then: f.outcome(nil)}); err != nil {
		f.drop(err)
	}
}

// offer gives a letter to the bus, and waits until that has space. An error says that
// it has not taken it, and will not call then.
func (f *fleet) offer(by sender, p envelope) error {
	for {
		var err error
		if p.to == "" {
			err = f.bus.Publish(p.payload, p.then)
		} else {
			err = f.bus.Tell(p.to, p.payload, p.then)
		}
		if !errors.Is(err, backplane.ErrBusFull) {
			return err
		}
		by.beforeWait()
		if f.bus.Await(f.ctx) != nil {
			return err
		}
	}
}

// outcome counts what becomes of a letter, and passes it on.
func (f *fleet) outcome(then func(hearers int64, err error)) func(int64, error) {
	return func(hearers int64, err error) {
		if err != nil {
			f.drop(err)
		} else {
			f.sent.Add(1)
		}
		if then != nil {
			then(hearers, err)
		}
	}
}

// tell sends a letter to one gateway, and never waits.
func (f *fleet) tell(to string, l letter) { f.post(to, l, nil) }

// post is tell for one gateway, or for all if to is empty. Letters that are posted
// arrive in their order.
func (f *fleet) post(to string, l letter, then func(hearers int64, err error)) {
	l.from = f.g.opts.InstanceID
	p := envelope{to: to, payload: l.encode(), then: f.outcome(then)}
	f.mu.Lock()
	full := f.size >= mostMail
	if !full {
		f.mail = append(f.mail, p)
		f.size += p.cost()
	}
	f.mu.Unlock()
	if full {
		f.drop(backplane.ErrBusFull)
		return
	}
	select {
	case f.posting <- struct{}{}:
	default: // it is awake
	}
}

// bringMail gives mail to the bus.
func (f *fleet) bringMail() {
	for {
		select {
		case <-f.posting:
		case <-f.ctx.Done():
			return
		}
		f.mu.Lock()
		mail := f.mail
		f.mail = nil
		f.mu.Unlock()
		for _, p := range mail {
			if err := f.offer(sender{}, p); err != nil {
				f.drop(err)
			}
			f.mu.Lock()
			f.size -= p.cost()
			f.mu.Unlock()
		}
	}
}

// tellAll publishes a message of an app server, or of REST.
func (f *fleet) tellAll(h *hub, by sender, m wire.Message) {
	f.publish(by, letter{kind: letterAct, hub: h.name, server: by.id(), endpoint: by.endpoint(), body: wire.Append(nil, m)})
}

// drop counts a letter that was lost, and says so once a second.
func (f *fleet) drop(why error) {
	if errors.Is(why, backplane.ErrClosed) {
		return
	}
	n := f.dropped.Add(1)
	f.mu.Lock()
	now := time.Now()
	quiet := now.Sub(f.logged) < time.Second
	if !quiet {
		f.logged = now
	}
	f.mu.Unlock()
	if !quiet {
		f.g.log.Warn("messages for other gateways dropped", "dropped", n, "error", why)
	}
}
