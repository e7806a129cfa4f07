package server

import (
	"math"
	"net"
	"time"

	"github.com/hubwire/hubwire/internal/admission"
	"github.com/hubwire/hubwire/internal/rate"
)

// AdmissionOptions configures an Admission. For each number, zero means the
// default and a negative value no bound.
type AdmissionOptions struct {
	// PerSecond is how many clients are let in a second, and Burst how many of
	// these at once after a quiet time. Zero means no bound, and a Burst of 100.
	PerSecond float64
	Burst     int

	// Opening is how many clients may open their connection at the same time:
	// from the negotiate until OnConnected has returned. This is the bound that
	// fits itself to what the node can do. Zero means 100.
	Opening int

	// AddressPerSecond, AddressBurst and AddressOpening are the same for the
	// clients of each address (EndpointOptions.ClientAddress). Zero means no bound
	// a second, since many users may have one address, a burst of 20, and a
	// quarter of Opening.
	AddressPerSecond float64
	AddressBurst     int
	AddressOpening   int

	// MaximumWaiting is how many clients may be held back at a time, each with a
	// request that takes about 20 KiB and a file descriptor. When there are more, a
	// client of the address with most of them is answered 503. Zero means 10,000.
	// Negative means no bound.
	MaximumWaiting int

	// MaximumHold is how long a client is held back; then it is answered 503.
	// JavaScript's client would wait for 100 seconds, .NET's for 120, but many
	// proxies only for 60. Zero means 45 seconds. Negative means no bound.
	MaximumHold time.Duration

	// MaximumAddresses is for how many addresses their pace is remembered when
	// none of their clients waits or opens. Zero means 10,000, with about 200 bytes
	// each. Negative means all.
	MaximumAddresses int

	// ConnectionsPerSecond is how many TCP connections are accepted a second by what
	// Listener returns, and ConnectionBurst how many of these at once after a quiet
	// time. A client needs two to open a WebSocket. Zero means 2,000, and a burst
	// of 20.
	ConnectionsPerSecond float64
	ConnectionBurst      int
}

// An Admission lets clients begin their connections at a pace that the node can
// serve. When a node fails, its clients come to the others at once, and again 2,
// 10 and 30 seconds later: those who cannot be served yet are held back. They do
// not notice, since no official client gives up a negotiate in less than 100
// seconds; a refused one costs them one of four tries.
//
// A client is held at its negotiate, or at its upgrade if it skips that; once let
// in, it is never held nor refused for this reason again. Addresses take turns:
// each time one client of the next address is let in, the one that has waited for
// longest there. Clients that leave while they are held lose their place. Shutdown
// answers those that are held 503.
//
// It is safe for concurrent use; the endpoints that are given the same one share
// its bounds.
type Admission struct {
	queue *admission.Queue
	door  *admission.Door
	opts  AdmissionOptions
}

// openingLease is how long a client may take to open its connection before others are
// let in, in its place: one that negotiates and does not come back must not hold
// the others up.
const openingLease = 5 * time.Second

// NewAdmission returns an Admission. A MaximumHold shorter than a millisecond is
// an error of NewHub and Hub.Endpoint.
func NewAdmission(opts AdmissionOptions) *Admission {
	all := size(opts.Opening, 100)
	o := admission.Options{
		Pace:             rate.NewPace(opts.PerSecond, burst(opts.Burst, 100)),
		Opening:          all,
		AddressPace:      rate.NewPace(opts.AddressPerSecond, burst(opts.AddressBurst, 20)),
		AddressOpening:   size(opts.AddressOpening, max(1, all/4)),
		MaximumWaiting:   size(opts.MaximumWaiting, 10_000),
		MaximumHold:      duration(opts.MaximumHold, 45*time.Second),
		MaximumAddresses: size(opts.MaximumAddresses, 10_000),
		Lease:            openingLease,
	}
	perSecond := opts.ConnectionsPerSecond
	if perSecond == 0 {
		perSecond = 2000
	}
	door := admission.NewDoor(rate.NewPace(perSecond, burst(opts.ConnectionBurst, 20)))
	return &Admission{admission.New(o), door, opts}
}

// Listener returns l, with Accept at the pace of AdmissionOptions.ConnectionsPerSecond,
// which all listeners of an Admission share. A client can be held back only once its
// request was read. Thousands that come in one moment are thousands of goroutines
// that accept, shake hands by TLS, and read, before that of a call which came a
// moment later: for about a second, clients that are already connected wait 100 ms and more. With the
// pace those who come wait in the backlog of the operating system, and cost nothing.
//
// Whoever needs a new TCP connection waits there, too, behind those who came
// before: health checks, and requests of running clients that have no connection to
// spare. WebSockets, event streams and connections that are kept alive do not
// notice. Serve health checks at a listener of their own.
//
// TLS goes around it: http.Server.ServeTLS takes what Listener returns.
func (a *Admission) Listener(l net.Listener) net.Listener { return a.door.Listener(l) }

// burst is size for what a rate.Pace takes.
func burst(n, preset int) float64 {
	if n = size(n, preset); n == math.MaxInt {
		return math.Inf(1)
	}
	return float64(n)
}

// AdmissionStats is what an Admission has seen.
type AdmissionStats struct {
	Waiting int // held back now
	Opening int // let in, and their connections not yet open

	Admitted uint64 // let in
	Held     uint64 // of these, after they were held back
	Full     uint64 // answered 503: MaximumWaiting
	TooLong  uint64 // answered 503: MaximumHold
	Shutdown uint64 // answered 503: the hub is shutting down
	Left     uint64 // gone while they were held
}

// Stats returns what the admission has seen so far.
func (a *Admission) Stats() AdmissionStats {
	s := a.queue.Stats()
	return AdmissionStats{s.Waiting, s.Opening, s.Admitted, s.Held, s.Full, s.TooLong, s.Cut, s.Left}
}
