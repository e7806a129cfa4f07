package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// DrainOptions say how a node lets its clients go before it ends: Notice, then
// Spread, and CallTimeout for a client whose calls still run. If the context of
// Drain has a deadline that leaves less time than all of them, they are shortened
// in proportion, so that every client is told in time. For each, zero means the
// default and a negative value that there is no such phase.
type DrainOptions struct {
	// Notice is for how long the node goes on as before, except that it is no
	// longer ready (see Node.Ready): so long a load balancer takes to notice. A
	// client that starts meanwhile is served; an official client whose negotiate
	// is refused fails. Afterwards new clients are answered 503. Zero means 5
	// seconds.
	Notice time.Duration

	// Spread is the time over which the clients are told to reconnect elsewhere
	// (a Close message with allowReconnect), one after the other, so that the
	// other nodes see no storm. At least 50 a second are told: few clients take
	// less. Zero means 10 seconds.
	Spread time.Duration

	// CallTimeout is for how long a client whose turn it is may still have calls
	// that run and streams that are open; it is told once there are none. Zero
	// means 10 seconds.
	CallTimeout time.Duration
}

const (
	// slowestSpread is how many clients a second are told at least.
	slowestSpread = 50
	// drainStep is how often clients are told, and those looked at that are busy.
	drainStep = 50 * time.Millisecond
	// drainLog is the time between two lines about who keeps a drain waiting.
	drainLog = 5 * time.Second
	// drainNamed is how many of them a line names.
	drainNamed = 5
)

func (o DrainOptions) withDefaults() DrainOptions {
	o.Notice = max(0, phase(o.Notice, 5*time.Second))
	o.Spread = max(0, phase(o.Spread, 10*time.Second))
	o.CallTimeout = max(0, phase(o.CallTimeout, 10*time.Second))
	return o
}

func phase(d, byDefault time.Duration) time.Duration {
	if d == 0 {
		return byDefault
	}
	return d
}

// within shortens the phases so that they take nine tenths of left at most: the
// rest is for the clients that were told last.
func (o DrainOptions) within(left time.Duration) DrainOptions {
	all := o.Notice + o.Spread + o.CallTimeout
	if most := left / 10 * 9; all > most {
		part := max(0, float64(most)/float64(all))
		for _, d := range []*time.Duration{&o.Notice, &o.Spread, &o.CallTimeout} {
			*d = time.Duration(float64(*d) * part)
		}
	}
	return o
}

// Drain ends the hub without haste, for a restart that users do not notice:
//
//  1. Draining reports true, and so Node.Ready answers 503. All else goes on for
//     DrainOptions.Notice.
//  2. New clients are answered 503; those that have negotiated still connect.
//  3. The clients are told to reconnect elsewhere, over DrainOptions.Spread. One
//     whose calls or streams run is told when they have ended, or after
//     DrainOptions.CallTimeout. Messages that were sent before reach it.
//  4. Shutdown, which waits for OnDisconnected and for methods that still run.
//
// When ctx is done it cuts what is left and returns ctx.Err(). Who keeps it
// waiting is logged at Info, every 5 seconds, a few by name. A second call is
// Shutdown, at once. The hub cannot be used afterwards.
//
// Several hubs of a node are drained at the same time, each by a goroutine; a Node
// does that.
func (h *Hub) Drain(ctx context.Context, opts DrainOptions) error {
	if h.draining.Swap(true) {
		return h.Shutdown(ctx)
	}
	refuse := func() {
		h.leave(ctx, true)
		h.refuse()
	}
	d := &drain{opts: opts, log: h.log, refuse: refuse, endpoints: h.allEndpoints, shutdown: h.Shutdown}
	return d.run(ctx)
}

// Draining reports whether Drain has been called: no new clients should come.
func (h *Hub) Draining() bool { return h.draining.Load() }

// refuse refuses new clients, at endpoints that are made later, too.
func (h *Hub) refuse() {
	h.mu.Lock()
	h.refuses = true
	h.mu.Unlock()
	for _, e := range h.allEndpoints() {
		e.Refuse()
	}
}

// Drain ends the raw connections without haste; see Hub.Drain. A client that is
// told to leave is one whose handler reads the end of its input, which
// DrainOptions.CallTimeout does not delay: the handler may write what it must,
// and returns.
func (h *ConnectionHandler) Drain(ctx context.Context, opts DrainOptions) error {
	if h.draining.Swap(true) {
		return h.Shutdown(ctx)
	}
	all := []*transport.Endpoint{h.endpoint}
	d := &drain{opts: opts, log: h.log, refuse: h.endpoint.Refuse, endpoints: func() []*transport.Endpoint { return all }, shutdown: h.Shutdown}
	return d.run(ctx)
}

// Draining reports whether Drain has been called: no new clients should come.
func (h *ConnectionHandler) Draining() bool { return h.draining.Load() }

// A drain is a Drain while it runs.
type drain struct {
	opts      DrainOptions
	log       *slog.Logger
	refuse    func()
	endpoints func() []*transport.Endpoint
	shutdown  func(context.Context) error

	logged time.Time // when log was written last
}

// A drainApp is a connection that can be told to leave, by Shutdown.
type drainApp interface {
	transport.App

	// leaving reports whether it was told, or ends anyway.
	leaving() bool

	// doing says what would be lost if it was told now, or, once it was, what it
	// still waits for; empty: nothing.
	doing() string

	// words names it in the log.
	words() string
}

func (d *drain) run(ctx context.Context) error {
	d.opts = d.opts.withDefaults()
	if end, ok := ctx.Deadline(); ok {
		d.opts = d.opts.within(time.Until(end))
	}
	d.log.Info("drain: new clients are still served", "for", d.opts.Notice)
	if d.opts.Notice > 0 {
		notice := time.NewTimer(d.opts.Notice)
		defer notice.Stop()
		select {
		case <-notice.C:
		case <-ctx.Done():
		}
	}
	d.refuse()
	d.log.Info("drain: clients are told to reconnect elsewhere", "count", len(d.staying()), "over", d.opts.Spread)
	d.logged = time.Now()
	// Those that had negotiated may have connected meanwhile.
	for staying := d.staying(); len(staying) > 0 && ctx.Err() == nil; staying = d.staying() {
		d.tell(ctx, staying)
	}
	return d.end(ctx)
}

// all are the connections that have not ended.
func (d *drain) all() (apps []drainApp) {
	for _, e := range d.endpoints() {
		for app := range e.Apps() {
			apps = append(apps, app.(drainApp)) // both kinds of this package are
		}
	}
	return apps
}

// staying are those that have not been told.
func (d *drain) staying() []drainApp { return slices.DeleteFunc(d.all(), drainApp.leaving) }

// A busyClient is one whose turn it is to be told, when it is idle or at until.
type busyClient struct {
	app   drainApp
	until time.Time
}

// tell tells each of apps to leave, over the time that there is for it.
func (d *drain) tell(ctx context.Context, apps []drainApp) {
	n := len(apps)
	spread := min(d.opts.Spread, time.Duration(n)*time.Second/slowestSpread)
	begin, next := time.Now(), 0
	var busy []busyClient
	step := time.NewTicker(drainStep)
	defer step.Stop()
	for {
		now, turns := time.Now(), n
		if passed := now.Sub(begin); passed < spread {
			turns = min(n, int(float64(n)*float64(passed)/float64(spread))+1)
		}
		for ; next < turns; next++ {
			busy = append(busy, busyClient{apps[next], now.Add(d.opts.CallTimeout)})
			apps[next] = nil
		}
		busy = slices.DeleteFunc(busy, func(b busyClient) (told bool) {
			if now.Before(b.until) && b.app.doing() != "" {
				return false
			}
			b.app.Shutdown()
			return true
		})
		if next == n && len(busy) == 0 {
			return
		}
		if d.mayLog(now) {
			waiting := make([]drainApp, len(busy))
			for i, b := range busy {
				waiting[i] = b.app
			}
			d.logWaiting("drain: clients with calls that run are not told yet", waiting, "still to come", n-next)
		}
		select {
		case <-step.C:
		case <-ctx.Done():
			return
		}
	}
}

// end shuts down. What that waits for is logged.
func (d *drain) end(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- d.shutdown(ctx) }()
	waits := time.NewTicker(drainLog)
	defer waits.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				d.log.Warn("drain: cut what was left", "error", err)
			} else {
				d.log.Info("drain: done")
			}
			return err
		case now := <-waits.C:
			if d.mayLog(now) {
				d.logWaiting("drain: waits for clients, or methods, that have not ended", d.all())
			}
		}
	}
}

func (d *drain) mayLog(now time.Time) bool {
	if now.Sub(d.logged) < drainLog {
		return false
	}
	d.logged = now
	return true
}

func (d *drain) logWaiting(line string, apps []drainApp, more ...any) {
	var named []string
	for _, app := range apps[:min(len(apps), drainNamed)] {
		named = append(named, app.words()+": "+app.doing())
	}
	d.log.Info(line, append([]any{"count", len(apps), "some", strings.Join(named, "; ")}, more...)...)
}

func (a *hubApp) leaving() bool { return (*connection)(a).endedBy.Load() != nil }

// doing looks at what changes all the time: it is right once nothing runs.
func (a *hubApp) doing() string {
	c := (*connection)(a)
	c.mu.Lock()
	streams := int(c.streams)
	c.mu.Unlock()
	switch {
	case c.state.Load() != open:
		return "handshake"
	case c.mute.Load():
		return "OnDisconnected"
	case streams > 0:
		return fmt.Sprintf("%d streams", streams)
	case c.in.isLed(), c.waiting.Load() > 0, !c.permits.unused(c.hub.opts.MaximumParallelInvocationsPerClient):
		return "calls"
	}
	return ""
}

func (a *hubApp) words() string {
	c := (*connection)(a)
	if c.state.Load() != open {
		return c.ID()
	}
	return fmt.Sprintf("%s of %q over %v", c.ID(), short(c.userID), c.Transport())
}

func (a rawApp) leaving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

func (a rawApp) doing() string {
	if a.leaving() {
		return "its handler"
	}
	return ""
}

func (a rawApp) words() string { return fmt.Sprintf("%s over %v", a.ID(), a.Transport()) }
