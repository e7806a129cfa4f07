package admission

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/rate"
)

// A backlog is a listener at which more clients stand than will be accepted.
type backlog struct{ closed chan struct{} }

func (b *backlog) Accept() (net.Conn, error) {
	select {
	case <-b.closed:
		return nil, net.ErrClosed
	default:
		return nil, nil // the test needs no connection
	}
}

func (b *backlog) Close() error   { close(b.closed); return nil }
func (b *backlog) Addr() net.Addr { return nil }

func newBacklog() *backlog { return &backlog{make(chan struct{})} }

// accepted counts the connections that listeners accept in the time.
func accepted(t *testing.T, d time.Duration, listeners ...net.Listener) (n int) {
	t.Helper()
	counts := make(chan struct{}, 100_000)
	for _, l := range listeners {
		go func() {
			for {
				if _, err := l.Accept(); err != nil {
					return
				}
				counts <- struct{}{}
			}
		}()
	}
	time.Sleep(d)
	synctest.Wait()
	n = len(counts)
	for _, l := range listeners {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	synctest.Wait()
	return n
}

func TestConnectionsAreAcceptedAtThePaceOfTheDoor(t *testing.T) {
	for _, listeners := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			door := NewDoor(rate.NewPace(100, 5))
			var all []net.Listener
			for range listeners {
				all = append(all, door.Listener(newBacklog()))
			}
			// The burst, and a hundred a second that all listeners share.
			if n := accepted(t, 2*time.Second+time.Millisecond, all...); n != 205 {
				t.Errorf("%d listeners accepted %d in two seconds, want 205", listeners, n)
			}
		})
	}
}

// Evenly, too: what comes in clumps would be what the pace is there to avoid.
func TestNoMoreThanTheBurstIsAcceptedInAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDoor(rate.NewPace(100, 5)).Listener(newBacklog())
		began := time.Now()
		for i := range 30 {
			if _, err := l.Accept(); err != nil {
				t.Fatal(err)
			}
			if want := max(0, time.Duration(i-4)*10*time.Millisecond); time.Since(began) != want {
				t.Errorf("connection %d was accepted after %v, want %v", i, time.Since(began), want)
			}
		}
	})
}

func TestCloseEndsTheWaitOfAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDoor(rate.NewPace(0.001, 1)).Listener(newBacklog())
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("accepted before its time: %v", err)
		default:
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) || time.Since(began) != 0 {
			t.Errorf("Accept ended with %v after %v, want that it is closed at once", err, time.Since(began))
		}
	})
}

func TestADoorWithoutAPaceIsNotThere(t *testing.T) {
	l := newBacklog()
	if got := NewDoor(rate.Pace{}).Listener(l); got != net.Listener(l) {
		t.Errorf("Listener = %T, want what it was given", got)
	}
}
