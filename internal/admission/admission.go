// Package admission lets clients in at a pace that a node can serve, and holds
// the others back in a queue that is fair between their addresses. It knows
// neither requests nor connections.
package admission

import (
	"container/heap"
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hubwire/hubwire/internal/rate"
)

// Why a client is not let in. An error of its context means that it has left.
var (
	ErrFull    = errors.New("admission: too many clients are waiting")
	ErrTooLong = errors.New("admission: the client has waited for too long")
	ErrClosed  = errors.New("admission: the endpoint is closing")
)

// Options are final values: math.MaxInt and the zero Pace are no bound.
type Options struct {
	Pace             rate.Pace     // of those that are let in
	Opening          int           // let in and not yet open, at a time
	AddressPace      rate.Pace     // the same two for each address
	AddressOpening   int           //
	MaximumWaiting   int           // clients that are held
	MaximumHold      time.Duration // how long each
	Lease            time.Duration // how long one that is let in may count as opening
	MaximumAddresses int           // addresses whose pace is remembered though none of their clients is here
}

// Stats is what a Queue has seen.
type Stats struct {
	Waiting, Opening         int    // now
	Admitted, Held           uint64 // let in; of these, after they were held
	Full, TooLong, Left, Cut uint64 // not let in: see ErrFull, ErrTooLong; gone meanwhile; ErrClosed
}

// A Queue lets clients in. It is safe for concurrent use. It has no goroutine;
// while clients wait it has a timer.
//
// Addresses take turns: each time one client of the next address is let in, the
// one that waits longest there. An address that has used up its pace or its
// share of those that open is passed over until it may go on.
type Queue struct {
	opts    Options
	started time.Time

	mu        sync.Mutex // guards what follows
	pace      rate.Bucket
	addresses *rate.Table[address]
	turns     list.List // of *entry: those with clients that wait and that are not passed over
	late      lateHeap  // of those that are passed over for their pace
	fullest   fullHeap  // of those with clients that wait
	leases    list.List // of *Ticket, the oldest in front
	timer     *time.Timer
	stats     Stats
}

type entry = rate.Entry[address]

// An address is where clients come from. It is held once for each client that
// waits or opens.
type address struct {
	pace    rate.Bucket
	opening int
	waiting list.List     // of *waiter
	turn    *list.Element // in Queue.turns
	readyAt time.Duration // while it is in Queue.late
	lateAt  int           // place in Queue.late, from 1
	fullAt  int           // place in Queue.fullest, from 1
}

// A waiter is a client that waits.
type waiter struct {
	at     *list.Element // in address.waiting
	done   chan struct{} // closed when it is let in, or has to give way
	ticket *Ticket       // nil: it has to give way
}

// A Ticket is a client that was let in and counts as opening.
type Ticket struct {
	queue   *Queue
	from    *entry
	expires time.Duration
	lease   *list.Element // nil: it counts no longer
}

// New returns a queue.
func New(opts Options) *Queue {
	return &Queue{opts: opts, started: time.Now(), addresses: rate.NewTable[address](opts.MaximumAddresses)}
}

func (q *Queue) now() time.Duration { return time.Since(q.started) }

// Stats returns what q has seen so far.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expireLocked(q.now())
	return q.stats
}

// Enter waits until a client of the given address may come in. It returns
// ErrFull, ErrTooLong, ErrClosed once closed is, or the error of ctx. The
// ticket must be given back with Opened.
func (q *Queue) Enter(ctx context.Context, closed <-chan struct{}, from string) (*Ticket, error) {
	w, e := q.join(from)
	if w == nil {
		return nil, ErrFull
	}
	select {
	case <-w.done: // most need not wait
		return q.admitted(w, false)
	default:
	}
	hold := time.NewTimer(q.opts.MaximumHold)
	defer hold.Stop()
	select {
	case <-w.done:
		return q.admitted(w, true)
	case <-ctx.Done():
		return nil, q.leave(w, e, &q.stats.Left, ctx.Err())
	case <-closed:
		return nil, q.leave(w, e, &q.stats.Cut, ErrClosed)
	case <-hold.C:
		return nil, q.leave(w, e, &q.stats.TooLong, ErrTooLong)
	}
}

func (q *Queue) admitted(w *waiter, held bool) (*Ticket, error) {
	if w.ticket == nil {
		return nil, ErrFull
	}
	if held {
		q.mu.Lock()
		q.stats.Held++
		q.mu.Unlock()
	}
	return w.ticket, nil
}

// join puts a client into the queue. If that is full, a client of the address
// with most gives way, the one that came last; it may be this one, and join
// returns nil.
func (q *Queue) join(from string) (*waiter, *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.addresses.Hold(from)
	if q.stats.Waiting >= q.opts.MaximumWaiting {
		q.admitLocked() // a lease may have ended
	}
	if q.stats.Waiting >= q.opts.MaximumWaiting {
		q.stats.Full++
		if len(q.fullest) == 0 || q.fullest[0].Value.waiting.Len() <= e.Value.waiting.Len()+1 {
			q.releaseLocked(e)
			return nil, nil
		}
		last := q.fullest[0]
		gone := last.Value.waiting.Back().Value.(*waiter)
		q.removeLocked(gone, last)
		close(gone.done)
		q.releaseLocked(last)
	}
	w := &waiter{done: make(chan struct{})}
	w.at = e.Value.waiting.PushBack(w)
	q.stats.Waiting++
	q.countedLocked(e)
	q.takesTurnsLocked(e)
	q.admitLocked()
	return w, e
}

// leave ends the waiting of a client that was not let in. reason counts it.
func (q *Queue) leave(w *waiter, e *entry, reason *uint64, err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.done: // too late: it was let in, or had to give way
		if w.ticket == nil {
			return ErrFull
		}
		q.stats.Admitted--
		q.openedLocked(w.ticket)
	default:
		q.removeLocked(w, e)
		q.releaseLocked(e)
	}
	*reason++
	q.admitLocked()
	return err
}

// removeLocked takes w out of the queue. The hold on e stays.
func (q *Queue) removeLocked(w *waiter, e *entry) {
	e.Value.waiting.Remove(w.at)
	q.stats.Waiting--
	q.countedLocked(e)
	q.takesTurnsLocked(e)
}

// countedLocked notes that e has more, or fewer, clients that wait.
func (q *Queue) countedLocked(e *entry) {
	switch a := &e.Value; {
	case a.fullAt == 0:
		heap.Push(&q.fullest, e)
	case a.waiting.Len() == 0:
		heap.Remove(&q.fullest, a.fullAt-1)
	default:
		heap.Fix(&q.fullest, a.fullAt-1)
	}
}

// takesTurnsLocked gives e a turn behind all others, or takes it away.
func (q *Queue) takesTurnsLocked(e *entry) {
	a := &e.Value
	wants := a.waiting.Len() > 0 && a.opening < q.opts.AddressOpening
	switch {
	case !wants && a.turn != nil:
		q.turns.Remove(a.turn)
		a.turn = nil
	case !wants && a.lateAt != 0:
		heap.Remove(&q.late, a.lateAt-1)
	case wants && a.turn == nil && a.lateAt == 0:
		a.turn = q.turns.PushBack(e)
	}
}

func (q *Queue) releaseLocked(e *entry) {
	q.addresses.Release(e, !q.opts.AddressPace.Bounded() || e.Value.pace.IsUnused(q.now()))
}

// admitLocked lets in the clients that may come now, and sets the timer for the next.
func (q *Queue) admitLocked() {
	now := q.now()
	q.expireLocked(now)
	for len(q.late) > 0 && q.late[0].Value.readyAt <= now {
		e := heap.Pop(&q.late).(*entry)
		e.Value.turn = q.turns.PushBack(e)
	}
	var wait time.Duration
	for q.turns.Len() > 0 && q.stats.Opening < q.opts.Opening {
		if wait = q.pace.Wait(q.opts.Pace, now, 1); wait > 0 {
			break
		}
		e := q.turns.Remove(q.turns.Front()).(*entry)
		a := &e.Value
		a.turn = nil
		if later, ok := a.pace.Take(q.opts.AddressPace, now, 1); !ok {
			a.readyAt = now + later
			heap.Push(&q.late, e)
			continue
		}
		q.pace.Spend(q.opts.Pace, now, 1)
		q.letInLocked(e, now)
	}
	q.setTimerLocked(now, wait)
}

// letInLocked lets in the client of e that waits longest. Its hold on e becomes
// that of its ticket.
func (q *Queue) letInLocked(e *entry, now time.Duration) {
	a := &e.Value
	w := a.waiting.Front().Value.(*waiter)
	w.ticket = &Ticket{queue: q, from: e, expires: now + q.opts.Lease}
	w.ticket.lease = q.leases.PushBack(w.ticket)
	a.opening++
	q.stats.Opening++
	q.stats.Admitted++
	q.removeLocked(w, e)
	close(w.done)
}

// Opened says that the client is served now, or gone: another one may come in.
// Only the first call counts.
func (t *Ticket) Opened() {
	t.queue.mu.Lock()
	defer t.queue.mu.Unlock()
	t.queue.openedLocked(t)
	t.queue.admitLocked()
}

func (q *Queue) openedLocked(t *Ticket) {
	if t.lease == nil {
		return
	}
	q.leases.Remove(t.lease)
	t.lease = nil
	t.from.Value.opening--
	q.stats.Opening--
	q.takesTurnsLocked(t.from)
	q.releaseLocked(t.from)
}

// expireLocked no longer counts those that were let in and did not come.
func (q *Queue) expireLocked(now time.Duration) {
	for q.leases.Len() > 0 {
		t := q.leases.Front().Value.(*Ticket)
		if t.expires > now {
			return
		}
		q.openedLocked(t)
	}
}

// setTimerLocked sets the timer to when the next client may be let in, if only
// time is missing; wait, if not zero, is what the pace of the node needs.
func (q *Queue) setTimerLocked(now, wait time.Duration) {
	if q.stats.Waiting == 0 {
		if q.timer != nil {
			q.timer.Stop()
			q.timer = nil
		}
		return
	}
	sooner := func(at time.Duration) {
		if wait == 0 || at-now < wait {
			wait = at - now
		}
	}
	if q.leases.Len() > 0 {
		sooner(q.leases.Front().Value.(*Ticket).expires)
	}
	if len(q.late) > 0 {
		sooner(q.late[0].Value.readyAt)
	}
	switch {
	case wait == 0: // a client that opens is waited for
	case q.timer == nil:
		q.timer = time.AfterFunc(wait, q.onTime)
	default:
		q.timer.Reset(wait)
	}
}

func (q *Queue) onTime() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.admitLocked()
}
