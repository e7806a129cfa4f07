package backplane

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A testBus keeps what it hears.
type testBus struct {
	*Bus
	heard chan string
}

func newTestBus(t *testing.T, s place, name string, o BusOptions) *testBus {
	t.Helper()
	client := s.client()
	b := &testBus{heard: make(chan string, 100)}
	o.Name, o.ServerName, o.ChannelPrefix = "bus", name, "test:"
	o.Receive = func(payload []byte) { b.heard <- string(payload) }
	o.Logger = slog.New(slog.DiscardHandler)
	var err error
	if b.Bus, err = NewBus(client, &o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { succeed(t, b.Close(), client.Close()) })
	succeed(t, b.Ready(t.Context()))
	return b
}

func (b *testBus) hears(t *testing.T, want ...string) {
	t.Helper()
	for _, text := range want {
		if got := <-b.heard; got != text {
			t.Errorf("heard %q, want %q", got, text)
		}
	}
}

func TestABusReachesAllAndOne(t *testing.T) {
	on(t, func(t *testing.T, s testRedis) {
		a, b := newTestBus(t, s, "a", BusOptions{}), newTestBus(t, s, "b", BusOptions{})
		counts := make(chan int64, 3)
		count := func(n int64, err error) {
			if err != nil {
				t.Error(err)
			}
			counts <- n
		}
		succeed(t, a.Publish([]byte("1"), count), a.Tell("b", []byte("2"), count), a.Tell("nobody", []byte("3"), count), a.Publish([]byte("4"), nil))
		a.hears(t, "1", "4")
		b.hears(t, "1", "2", "4")
		for _, want := range []int64{2, 1, 0} {
			if got := <-counts; got != want {
				t.Errorf("%d hear it, want %d", got, want)
			}
		}
		if !a.Counts() {
			t.Error("it does not count")
		}
	})
}

func TestABusIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		l := s.line()
		a := newTestBus(t, l, "a", BusOptions{MaximumWaiting: 1000})
		l.partition()
		failed := make(chan error, 2)
		done := func(_ int64, err error) { failed <- err }
		long := strings.Repeat("x", 2000)
		succeed(t, a.Publish([]byte(long), done)) // alone it has space, however long it is
		if err := a.Publish([]byte("more"), done); !errors.Is(err, ErrBusFull) {
			t.Errorf("error %v", err)
		}
		begun := time.Now()
		succeed(t, a.Await(t.Context())) // that has failed, so there is space
		if took := time.Since(begun); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("Await took %v", took)
		}
		if err := <-failed; err == nil {
			t.Error("what Redis has not taken is said to be sent")
		}
		time.Sleep(10 * time.Second) // the link is doubted
		if err := a.Await(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		l.heal()
		succeed(t, a.Ready(t.Context()), a.Publish([]byte("again"), nil))
		for got := <-a.heard; got != "again"; got = <-a.heard {
		}
	})
}

func TestABusNeedsANameAndAReceiver(t *testing.T) {
	synctest.Test(t, testBusOptions)
}

func testBusOptions(t *testing.T) {
	for i, o := range []*BusOptions{nil, {Name: "x", ServerName: "a"}, {Name: "x", Receive: func([]byte) {}}, {ServerName: "a", Receive: func([]byte) {}}} {
		if _, err := NewBus(newMemoryRedis(t).client(), o); err == nil || !strings.HasPrefix(err.Error(), "backplane: ") {
			t.Errorf("%d: error %v", i, err)
		}
	}
}

func TestABusThatPanicsGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		client, heard := s.client(), make(chan string, 10)
		b, err := NewBus(client, &BusOptions{Name: "bus", ServerName: "a", Logger: slog.New(slog.DiscardHandler), Receive: func(p []byte) {
			if string(p) == "panic" {
				panic("on purpose")
			}
			heard <- string(p)
		}})
		succeed(t, err, b.Ready(t.Context()), b.Publish([]byte("panic"), nil), b.Publish([]byte("after"), nil))
		if got := <-heard; got != "after" {
			t.Errorf("heard %q", got)
		}
		succeed(t, b.Close(), client.Close())
		if err := b.Publish([]byte("late"), nil); !errors.Is(err, ErrClosed) {
			t.Error(fmt.Errorf("after Close: %w", err))
		}
	})
}
