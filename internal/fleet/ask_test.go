package fleet

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// A memoryBus is a Bus in memory.
type memoryBus struct {
	mu     sync.Mutex
	hears  map[string]*Fleet
	frozen *Fleet // is counted, and hears nothing
}

func (b *memoryBus) listen(channel string, f *Fleet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hears[channel] = f
}

// freeze lets f hear nothing, though it is counted.
func (b *memoryBus) freeze(f *Fleet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frozen = f
}

// end makes f deaf, as a node that has died.
func (b *memoryBus) end(f *Fleet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.hears, func(_ string, hears *Fleet) bool { return hears == f })
}

func (b *memoryBus) Counts() bool     { return true }
func (b *memoryBus) Since() time.Time { return time.Time{} }

func (b *memoryBus) Publish(_ context.Context, channel string, payload []byte) (int64, error) {
	b.mu.Lock()
	f, frozen := b.hears[channel], b.frozen
	b.mu.Unlock()
	if f == nil {
		return 0, nil
	}
	if f != frozen {
		f.Receive(channel, payload)
	}
	return 1, nil
}

func (b *memoryBus) Subscribe(context.Context, string) error { return nil }
func (b *memoryBus) Unsubscribe(string)                      {}

func (b *memoryBus) Claim(context.Context, string, time.Duration) (bool, error) { return true, nil }
func (b *memoryBus) Exists(context.Context, string) (bool, error)               { return false, nil }

// A request may overtake the news that its connection has ended.
func TestARequestForAConnectionThatHasJustEndedFindsNobody(t *testing.T) {
	bus := &memoryBus{hears: map[string]*Fleet{}}
	asker := New(bus, Options{Node: "asker", Base: "base:", Keys: []Key{key('a')}, Log: slog.New(slog.DiscardHandler)})
	owner := New(bus, Options{Node: "owner", Base: "base:", Keys: []Key{key('a')}, Log: slog.New(slog.DiscardHandler)})
	defer asker.Close()
	defer owner.Close()
	bus.listen(asker.NodeChannel(), asker)
	bus.listen(owner.NodeChannel(), owner)
	bus.listen(owner.connectionChannel("c"), owner)
	r := httptest.NewRequest("POST", "/chat?id=x", strings.NewReader("text"))
	if err := asker.Forward(httptest.NewRecorder(), r, "c", nil); !errors.Is(err, transport.ErrNobody) {
		t.Errorf("Forward = %v", err)
	}
	r = httptest.NewRequest("POST", "/chat?id=x", strings.NewReader("text"))
	if err := asker.Forward(httptest.NewRecorder(), r, "another", nil); !errors.Is(err, transport.ErrNobody) {
		t.Errorf("Forward to a connection that nobody has = %v", err)
	}
}

// Redis counts a node that is frozen. A POST does not wait for it as long as its
// client would; a poll waits anyway.
func TestAnOwnerThatIsFrozenOnTheBusIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(p.echo)
		p.bus.frozen = p.owner
		began := time.Now()
		if _, err := p.post("text"); !errors.Is(err, transport.ErrAway) || time.Since(began) != (mostSilent+1)*probeTime {
			t.Errorf("a POST: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", "/chat?id=x", nil)
		if err := p.asker.Forward(httptest.NewRecorder(), r, "c", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a poll: %v", err)
		}
	})
}

// An owner that is at it is not given up, however long it takes.
func TestAnOwnerThatTakesLongIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.serve(func(w transport.ForwardWriter, _ *http.Request, _ []byte) {
			time.Sleep(time.Minute)
			_, _ = io.WriteString(w, "late") // the asker is gone otherwise
		})
		if got, err := p.post("text"); got != "late" || err != nil {
			t.Errorf("answer %q, %v", got, err)
		}
	})
}
