package admission

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/rate"
)

// generous are options that bound nothing.
func generous() Options {
	return Options{
		Opening: math.MaxInt, AddressOpening: math.MaxInt, MaximumWaiting: math.MaxInt,
		MaximumHold: time.Hour, Lease: time.Hour, MaximumAddresses: 100,
	}
}

// A crowd enters a queue, and remembers who was let in, in which order.
type crowd struct {
	queue  *Queue
	closed chan struct{}
	in     chan guest
}

type guest struct {
	name   string
	ticket *Ticket
	err    error
	after  time.Duration
}

func newCrowd(opts Options) *crowd {
	return &crowd{New(opts), make(chan struct{}), make(chan guest, 1000)}
}

// comes lets a client of the address before the slash of name enter, and waits
// until it has its place.
func (c *crowd) comes(ctx context.Context, name string) {
	from, _, _ := strings.Cut(name, "/")
	began := time.Now()
	go func() {
		ticket, err := c.queue.Enter(ctx, c.closed, from)
		c.in <- guest{name, ticket, err, time.Since(began)}
	}()
	synctest.Wait()
}

// next returns who was let in, or refused, meanwhile.
func (c *crowd) next() (all []guest) {
	synctest.Wait()
	for {
		select {
		case g := <-c.in:
			all = append(all, g)
		default:
			return all
		}
	}
}

func names(all []guest) (names []string) {
	for _, g := range all {
		names = append(names, g.name)
	}
	return names
}

// isEmpty fails unless q remembers nobody.
func isEmpty(t *testing.T, q *Queue) {
	t.Helper()
	s := q.Stats()
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.Waiting != 0 || s.Opening != 0 || q.turns.Len() != 0 || len(q.late) != 0 || len(q.fullest) != 0 || q.leases.Len() != 0 {
		t.Errorf("left over: %+v, %d turns, %d late, %d full, %d leases", s, q.turns.Len(), len(q.late), len(q.fullest), q.leases.Len())
	}
}

func TestOnlySoManyOpenAtATimeAndAddressesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := generous()
		o.Opening = 1
		c := newCrowd(o)
		for _, name := range []string{"a/1", "a/2", "a/3", "a/4", "b/1", "b/2", "c/1"} {
			c.comes(t.Context(), name)
		}
		var order []string
		for range 7 {
			all := c.next()
			if len(all) != 1 || all[0].err != nil {
				t.Fatalf("let in together: %v", all)
			}
			order = append(order, all[0].name)
			all[0].ticket.Opened()
			all[0].ticket.Opened() // once more makes no difference
		}
		if want := []string{"a/1", "a/2", "b/1", "c/1", "a/3", "b/2", "a/4"}; !slices.Equal(order, want) {
			t.Errorf("order %q, want %q", order, want)
		}
		if s := c.queue.Stats(); s.Admitted != 7 || s.Held != 6 {
			t.Errorf("%+v, want 7 admitted, 6 of them held", s)
		}
		isEmpty(t, c.queue)
	})
}

func TestSoManyASecondAreLetInAfterTheBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := generous()
		o.Pace = rate.NewPace(10, 2)
		c := newCrowd(o)
		for n := range 5 {
			c.comes(t.Context(), fmt.Sprintf("a%d", n))
		}
		if all := c.next(); len(all) != 2 {
			t.Errorf("at once: %q, want 2", names(all))
		}
		time.Sleep(300 * time.Millisecond)
		all := c.next()
		if len(all) != 3 {
			t.Fatalf("300 ms later: %q, want 3", names(all))
		}
		for n, g := range all {
			if want := time.Duration(n+1) * 100 * time.Millisecond; g.after != want {
				t.Errorf("%s was let in after %v, want %v", g.name, g.after, want)
			}
		}
	})
}

// One address cannot use up what others need: neither its pace nor its share of
// those that open holds up the clients of another one.
func TestAnAddressOverItsPaceOrItsShareIsPassedOver(t *testing.T) {
	for name, bound := range map[string]func(*Options){
		"pace":  func(o *Options) { o.AddressPace = rate.NewPace(1, 1) },
		"share": func(o *Options) { o.AddressOpening = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := generous()
				bound(&o)
				c := newCrowd(o)
				for _, name := range []string{"a/1", "a/2", "a/3", "b/1", "b/2"} {
					c.comes(t.Context(), name)
				}
				first := c.next()
				if got := names(first); !slices.Equal(got, []string{"a/1", "b/1"}) {
					t.Fatalf("at once: %q", got)
				}
				if name == "share" {
					first[0].ticket.Opened()
					if got := names(c.next()); !slices.Equal(got, []string{"a/2"}) {
						t.Errorf("after a/1 has opened: %q", got)
					}
					close(c.closed)
					c.next()
					return
				}
				time.Sleep(time.Second)
				if got := names(c.next()); !slices.Contains(got, "a/2") || !slices.Contains(got, "b/2") || len(got) != 2 {
					t.Errorf("a second later: %q", got)
				}
				time.Sleep(time.Second)
				if got := names(c.next()); !slices.Equal(got, []string{"a/3"}) {
					t.Errorf("two seconds later: %q", got)
				}
			})
		})
	}
}

func TestOfAFullQueueTheAddressWithMostGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := generous()
		o.Opening, o.MaximumWaiting = 1, 3
		c := newCrowd(o)
		for _, name := range []string{"x/1", "a/1", "a/2", "a/3"} {
			c.comes(t.Context(), name)
		}
		open := c.next()[0].ticket
		refused := func(by, want string) {
			t.Helper()
			c.comes(t.Context(), by)
			if all := c.next(); len(all) != 1 || all[0].name != want || !errors.Is(all[0].err, ErrFull) {
				t.Errorf("%s came: %v, want %s to be refused", by, all, want)
			}
		}
		refused("a/4", "a/4")
		refused("b/1", "a/3")
		refused("b/2", "b/2")
		refused("c/1", "a/2")
		refused("d/1", "d/1")
		var order []string
		for range 3 {
			open.Opened()
			all := c.next()
			order = append(order, all[0].name)
			open = all[0].ticket
		}
		if want := []string{"a/1", "b/1", "c/1"}; !slices.Equal(order, want) {
			t.Errorf("let in: %q, want %q", order, want)
		}
		open.Opened()
		if s := c.queue.Stats(); s.Full != 5 {
			t.Errorf("%d were refused, want 5", s.Full)
		}
		isEmpty(t, c.queue)
	})
}

func TestWhoIsHeldLeavesInThreeWaysAndNobodyIsLetInForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := generous()
		o.Opening, o.MaximumHold = 1, 45*time.Second
		c := newCrowd(o)
		c.comes(t.Context(), "a/1")
		open := c.next()[0].ticket
		ctx, cancel := context.WithCancel(t.Context())
		c.comes(ctx, "a/gone")
		c.comes(t.Context(), "a/late")
		cancel()
		if all := c.next(); len(all) != 1 || !errors.Is(all[0].err, context.Canceled) {
			t.Errorf("one left: %v", all)
		}
		time.Sleep(45 * time.Second)
		if all := c.next(); len(all) != 1 || !errors.Is(all[0].err, ErrTooLong) || all[0].after != 45*time.Second {
			t.Errorf("45 s later: %v", all)
		}
		c.comes(t.Context(), "b/cut")
		close(c.closed)
		if all := c.next(); len(all) != 1 || !errors.Is(all[0].err, ErrClosed) {
			t.Errorf("closed: %v", all)
		}
		open.Opened()
		if s := c.queue.Stats(); s.Left != 1 || s.TooLong != 1 || s.Cut != 1 || s.Admitted != 1 {
			t.Errorf("%+v", s)
		}
		isEmpty(t, c.queue)
	})
}

func TestAClientThatIsLetInAndDoesNotComeHoldsNobodyUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := generous()
		o.Opening, o.Lease = 1, 5*time.Second
		c := newCrowd(o)
		c.comes(t.Context(), "a/1")
		c.comes(t.Context(), "b/1")
		first := c.next()[0].ticket
		time.Sleep(5*time.Second - 1)
		if all := c.next(); len(all) != 0 {
			t.Fatalf("let in too early: %q", names(all))
		}
		time.Sleep(time.Nanosecond)
		all := c.next()
		if len(all) != 1 || all[0].name != "b/1" {
			t.Fatalf("after the lease: %q", names(all))
		}
		first.Opened() // late: it counts no more
		if s := c.queue.Stats(); s.Opening != 1 {
			t.Errorf("%d are opening, want 1", s.Opening)
		}
		all[0].ticket.Opened()
		isEmpty(t, c.queue)
	})
}

// A client may leave in the moment in which it is let in.
func TestWhoLeavesWhileBeingLetInTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := generous()
		o.Opening = 1
		q := New(o)
		w, e := q.join("a")
		if w.ticket == nil {
			t.Fatal("the first one waits")
		}
		if err := q.leave(w, e, &q.stats.Left, context.Canceled); !errors.Is(err, context.Canceled) {
			t.Errorf("leave = %v", err)
		}
		if s := q.Stats(); s.Admitted != 0 || s.Left != 1 {
			t.Errorf("%+v", s)
		}
		isEmpty(t, q)
	})
}

// Memory: addresses that nobody comes from any more are forgotten.
func TestOnlySoManyAddressesAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := generous()
		o.AddressPace = rate.NewPace(0.001, 1)
		q := New(o)
		for n := range 1000 {
			ticket, err := q.Enter(t.Context(), nil, fmt.Sprint(n))
			if err != nil {
				t.Fatal(err)
			}
			ticket.Opened()
		}
		if got := q.addresses.Len(); got != o.MaximumAddresses {
			t.Errorf("%d addresses are remembered, want %d", got, o.MaximumAddresses)
		}
		o.AddressPace = rate.Pace{}
		q = New(o)
		ticket, _ := q.Enter(t.Context(), nil, "a")
		ticket.Opened()
		if got := q.addresses.Len(); got != 0 {
			t.Errorf("%d addresses are remembered without a pace", got)
		}
	})
}

// Whatever comes together, everybody gets one answer, and nothing is left.
func TestEverythingTogetherLeavesAnEmptyQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{
			Pace: rate.NewPace(500, 5), Opening: 7, AddressPace: rate.NewPace(100, 3), AddressOpening: 3,
			MaximumWaiting: 60, MaximumHold: 150 * time.Millisecond, Lease: 20 * time.Millisecond, MaximumAddresses: 5,
		}
		q := New(o)
		const clients = 400
		done := make(chan error, clients)
		for n := range clients {
			go func() {
				time.Sleep(time.Duration(n%13) * 10 * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20+n%7*40)*time.Millisecond)
				defer cancel()
				ticket, err := q.Enter(ctx, nil, fmt.Sprint(n%9))
				if err == nil && n%5 != 0 { // others do not come
					time.Sleep(time.Duration(n%11) * time.Millisecond)
					ticket.Opened()
				}
				done <- err
			}()
		}
		admitted, refused := uint64(0), uint64(0)
		for range clients {
			if err := <-done; err == nil {
				admitted++
			} else {
				refused++
			}
		}
		time.Sleep(time.Second)
		s := q.Stats()
		if s.Admitted != admitted || s.Full+s.TooLong+s.Left != refused || admitted == 0 || s.Full == 0 || s.Left == 0 {
			t.Errorf("%+v, but %d were let in and %d not", s, admitted, refused)
		}
		isEmpty(t, q)
	})
}
