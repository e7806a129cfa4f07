package server

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/rate"
)

// ErrRateLimit is what OnDisconnected gets of a client that was closed because it
// went on beyond a RateLimit.
var ErrRateLimit = errors.New("server: the client has exceeded a rate limit")

// A Rate bounds calls and bytes by time. Zero and negative rates are no bound.
type Rate struct {
	// CallsPerSecond is how many hub methods may be called a second: by
	// invocations of every kind, those of unknown methods and those without an
	// answer, too. Items of streams count as bytes only.
	CallsPerSecond float64

	// CallBurst is how many may be called at once after a quiet time. Zero means
	// five seconds' worth, and at least 10. Negative means 1.
	CallBurst int

	// BytesPerSecond is how many bytes may be received a second, as the payload of
	// WebSocket messages or the bodies of POSTs; pings count, headers do not.
	BytesPerSecond float64

	// ByteBurst is how many may be received at once after a quiet time. Zero means
	// five seconds' worth, and at least 64 KiB. Negative means 1.
	ByteBurst int
}

// RateLimitOptions configures a RateLimit. A zero Rate bounds nothing.
type RateLimitOptions struct {
	// PerConnection, PerUser and PerAddress are what each connection may do, all
	// connections of one user together (Options.UserID; anonymous users have no
	// such bound), and all of one address (EndpointOptions.ClientAddress).
	PerConnection, PerUser, PerAddress Rate

	// MaximumIdle is of how many users, and of how many addresses, what they have
	// used is remembered while they have no connection, with about 200 bytes each;
	// beyond it those that have been gone for longest begin anew. Zero means
	// 10,000. Negative means no bound.
	MaximumIdle int
}

// A RateLimit bounds what clients may call and send by time. A call that is over
// the limit fails: its client gets a HubException that says so, and may go on. A
// client that goes on calling, with 1,000 refused calls at once and 10 a second
// thereafter, is closed and may not reconnect by itself. Bytes over the limit are
// not refused: the client is not read until they are within it, and TCP, or the
// POST that waits, holds it back. If that would take more than 10 seconds, as for
// a user with many connections that all send, the connection is closed; it may
// reconnect. OnDisconnected gets ErrRateLimit.
//
// It is safe for concurrent use; the hubs and raw endpoints that are given the
// same one count together. Each node counts for itself.
type RateLimit struct {
	connection, user, address paces
	started                   time.Time

	refused, pauses, closed atomic.Uint64

	mu        sync.Mutex // guards what follows; the last of all locks
	users     *rate.Table[meter]
	addresses *rate.Table[meter]
}

type paces struct{ calls, bytes rate.Pace }

func newPaces(r Rate) paces {
	return paces{
		rate.NewPace(r.CallsPerSecond, burstOf(r.CallBurst, r.CallsPerSecond, 10)),
		rate.NewPace(r.BytesPerSecond, burstOf(r.ByteBurst, r.BytesPerSecond, 64<<10)),
	}
}

// burstOf is n, or for zero what comes in five seconds and at least least.
func burstOf(n int, perSecond, least float64) float64 {
	if n == 0 {
		return max(5*perSecond, least)
	}
	return float64(n)
}

func (p paces) bounded() bool { return p.calls.Bounded() || p.bytes.Bounded() }

// A meter is what has been used of paces.
type meter struct{ calls, bytes rate.Bucket }

// NewRateLimit returns a RateLimit with opts, which nothing can be wrong with. It has
// no goroutine, and is not closed.
func NewRateLimit(opts RateLimitOptions) *RateLimit {
	idle := size(opts.MaximumIdle, 10_000)
	return &RateLimit{
		connection: newPaces(opts.PerConnection), user: newPaces(opts.PerUser), address: newPaces(opts.PerAddress),
		started: time.Now(), users: rate.NewTable[meter](idle), addresses: rate.NewTable[meter](idle),
	}
}

// RateStats is what a RateLimit has seen.
type RateStats struct {
	CallsRefused uint64 // calls that have failed
	Pauses       uint64 // times that a client was not read for a while
	Closed       uint64 // connections closed

	Users, Addresses int // that are remembered now
}

// Stats returns what the limit has seen so far.
func (l *RateLimit) Stats() RateStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return RateStats{l.refused.Load(), l.pauses.Load(), l.closed.Load(), l.users.Len(), l.addresses.Len()}
}

func (l *RateLimit) now() time.Duration { return time.Since(l.started) }

// Bounds of what is beyond a limit.
var refusals = rate.NewPace(10, 1000) // calls of one connection that may be refused

const longestPause = 10 * time.Second

// rates are what one connection has used of its RateLimit.
type rates struct {
	limit   *RateLimit
	own     meter
	refused rate.Bucket
	user    atomic.Pointer[rate.Entry[meter]] // nil: anonymous, or before the handshake
	address *rate.Entry[meter]                // nil: not bounded
	left    sync.Once
}

// of returns the rates of a new connection from address. It is nil for a nil limit.
func (l *RateLimit) of(address func() string) *rates {
	if l == nil {
		return nil
	}
	r := &rates{limit: l}
	if l.address.bounded() {
		from := ""
		_ = guard(func() error { from = address(); return nil }) // one that panics makes all its clients one
		l.mu.Lock()
		r.address = l.addresses.Hold(from)
		l.mu.Unlock()
	}
	return r
}

// identify says who the user of the connection is. It is called once.
func (r *rates) identify(userID string) {
	if r == nil || userID == "" || !r.limit.user.bounded() {
		return
	}
	r.limit.mu.Lock()
	defer r.limit.mu.Unlock()
	r.user.Store(r.limit.users.Hold(userID))
}

// leave is called when the connection has ended.
func (r *rates) leave() {
	if r == nil {
		return
	}
	r.left.Do(func() {
		l, now := r.limit, r.limit.now()
		l.mu.Lock()
		defer l.mu.Unlock()
		unused := func(e *rate.Entry[meter]) bool { return e.Value.calls.IsUnused(now) && e.Value.bytes.IsUnused(now) }
		if e := r.user.Load(); e != nil {
			l.users.Release(e, unused(e))
		}
		if e := r.address; e != nil {
			l.addresses.Release(e, unused(e))
		}
	})
}

// call counts a call. It returns whose rate refuses it, or "".
func (r *rates) call() (whose string) {
	l, now := r.limit, r.limit.now()
	if _, ok := r.own.calls.Take(l.connection.calls, now, 1); !ok {
		return "connection"
	}
	if e := r.user.Load(); e != nil {
		if _, ok := e.Value.calls.Take(l.user.calls, now, 1); !ok {
			return "user"
		}
	}
	if e := r.address; e != nil {
		if _, ok := e.Value.calls.Take(l.address.calls, now, 1); !ok {
			return "address"
		}
	}
	return ""
}

// receive counts n bytes. It returns how long they, and what follows them, must
// wait, and for whose rate.
func (r *rates) receive(n int) (wait time.Duration, whose string) {
	l, now := r.limit, r.limit.now()
	longer := func(w time.Duration, of string) {
		if w > wait {
			wait, whose = w, of
		}
	}
	longer(r.own.bytes.Spend(l.connection.bytes, now, n), "connection")
	if e := r.user.Load(); e != nil {
		longer(e.Value.bytes.Spend(l.user.bytes, now, n), "user")
	}
	if e := r.address; e != nil {
		longer(e.Value.bytes.Spend(l.address.bytes, now, n), "address")
	}
	return wait, whose
}

// pause waits, or until done is closed: it reports false then.
func pause(wait time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}

// Texts of what is over a RateLimit. ASP.NET Core has no such limit; the form is
// that of its other refusals.
const (
	callOverRate  = "Failed to invoke '%s' due to an error on the server. HubException: The client makes too many calls."
	callsOverRate = "The client makes too many calls."
	bytesOverRate = "The client sends too much."
)

// mayCall counts a call of target, or answers it with an error. A client that does
// not heed these is closed for good.
func (c *connection) mayCall(id, target string) bool {
	whose := c.rates.call()
	if whose == "" {
		return true
	}
	c.rates.limit.refused.Add(1)
	c.refusedCall(c.hub.methods.find(target), CallRefused)
	c.hub.log.Info("call refused", "reason", "the rate of its "+whose, "connection", c.ID(), "user", c.userID)
	if _, ok := c.rates.refused.Take(refusals, c.rates.limit.now(), 1); !ok {
		c.overRate(callsOverRate, false)
		return false
	}
	c.fail(id, fmt.Sprintf(callOverRate, target))
	return false
}

// overRate ends the connection with a reason that the client sees.
func (c *connection) overRate(reason string, allowReconnect bool) {
	if c.endedBy.Load() == nil {
		c.rates.limit.closed.Add(1)
	}
	c.end(ending{cause: ErrRateLimit, silent: true, reason: reason, allowReconnect: allowReconnect})
}

// mayReceive counts n bytes and holds the client back while they are too many. It
// reports false if the connection ends.
func (c *connection) mayReceive(n int, isReader bool) bool {
	wait, whose := c.rates.receive(n)
	if wait == 0 {
		return true
	}
	c.rates.limit.pauses.Add(1)
	c.hub.log.Info("client held back", "reason", "the rate of its "+whose, "connection", c.ID(), "for", wait.Round(time.Millisecond))
	if wait > longestPause {
		c.overRate(bytesOverRate, true)
		return false
	}
	c.bytes.Uncork() // what others send meanwhile must not wait with this goroutine
	c.bytes.BeforeWait()
	if !pause(wait, c.bytes.Done()) {
		return false
	}
	c.heard() // it could not be
	if isReader {
		c.bytes.Cork()
	}
	return true
}
