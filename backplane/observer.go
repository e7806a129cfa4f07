package backplane

import (
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
)

// An Observer is told what a backplane does, for metrics. Package
// backplane/otel has one for OpenTelemetry. Each field may be nil. The functions
// are called concurrently and must not block; a panic is logged.
type Observer struct {
	// Backplane is called once for each backplane, by New. What it is given can
	// be asked at any time: Redis.Health, Redis.Stats.
	Backplane func(*Redis)

	// Published is called for each message of a send, once for each channel, when
	// Redis has answered or the send has failed; took is the time since the send.
	Published func(r *Redis, took time.Duration, err error)

	// Delivered is called when a message of a send has come over Redis and is in
	// the queues of this node's clients; own says that this node has sent it. If
	// another one has, latency is what its clock and ours say, so it has their
	// difference in it, and is never less than zero.
	//
	// Where it is set, what this node sends carries the time and
	// Options.ServerName: some 80 bytes a message, which nodes of ASP.NET Core
	// ignore. Messages of nodes that do not send it are not reported.
	Delivered func(r *Redis, latency time.Duration, own bool)

	// Forwarded is called for what this node has passed on to another one: a
	// client's result, or the change of a group of another node's client.
	Forwarded func(r *Redis, what Forwarding)
}

// A Forwarding is what one node passes on to another.
type Forwarding string

// What nodes pass on.
const (
	ForwardedResult Forwarding = "client_result" // to the node that has asked
	ForwardedGroup  Forwarding = "group"         // to the node that has the client
)

// observe calls f, a function of the observer, if there is one.
func (r *Redis) observe(name string, f func(*Observer)) {
	if o := r.opts.Observer; o != nil {
		_ = r.guard("Observer."+name, func() error { f(o); return nil }) // a panic is logged
	}
}

// observePublished returns what is to be called with the outcome of a PUBLISH
// that begins now.
func (r *Redis) observePublished() func(error) {
	if o := r.opts.Observer; o == nil || o.Published == nil {
		return func(error) {}
	}
	began := time.Now()
	return func(err error) {
		r.observe("Published", func(o *Observer) { o.Published(r, time.Since(began), err) })
	}
}

// extension is what this node adds to what it sends; nil: nothing.
func (r *Redis) extension() *wire.Extension {
	if o := r.opts.Observer; o == nil || o.Delivered == nil {
		return nil
	}
	return &wire.Extension{Time: time.Now().UnixMicro(), Node: r.opts.ServerName}
}

// observeDelivered reports a message that was sent with e, which may be nil.
func (r *Redis) observeDelivered(e *wire.Extension) {
	if e == nil {
		return
	}
	r.observe("Delivered", func(o *Observer) {
		if o.Delivered != nil {
			o.Delivered(r, max(0, time.Since(time.UnixMicro(e.Time))), e.Node == r.opts.ServerName)
		}
	})
}

func (r *Redis) observeForwarded(what Forwarding) {
	r.observe("Forwarded", func(o *Observer) {
		if o.Forwarded != nil {
			o.Forwarded(r, what)
		}
	})
}

// HubName is Options.HubName.
func (r *Redis) HubName() string { return r.opts.HubName }
