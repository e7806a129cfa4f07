package fleet

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// Heard implements Bus.
func (b *memoryBus) Heard(_ context.Context, channel string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hears[channel] != nil, nil
}

// A blindBus is one that does not count, as a Redis Cluster.
type blindBus struct {
	*memoryBus
	since time.Time
}

func (blindBus) Counts() bool       { return false }
func (b blindBus) Since() time.Time { return b.since }

func (b blindBus) Publish(ctx context.Context, channel string, payload []byte) (int64, error) {
	_, err := b.memoryBus.Publish(ctx, channel, payload)
	return 1, err
}

// newBlindPair is newPair on a Bus that does not count, and is the only way between the
// nodes: the owner says no URL.
func newBlindPair(t *testing.T, since time.Time) *pair {
	p := newPair(t)
	p.owner.url = ""
	for _, f := range []*Fleet{p.asker, p.owner} {
		f.bus = blindBus{p.bus, since}
	}
	return p
}

// ends wants a POST to end with an error after some time.
func (p *pair) ends(t *testing.T, want error, after time.Duration) {
	t.Helper()
	began := time.Now()
	if _, err := p.post("text"); !errors.Is(err, want) || time.Since(began) != after {
		t.Errorf("a POST: %v after %v, want %v after %v", err, time.Since(began), want, after)
	}
}

func TestWhereTheBusDoesNotCountNobodyIsFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBlindPair(t, time.Time{})
		p.ends(t, transport.ErrNobody, 2*uncountedAsk)
		p.serve(p.echo)
		if got, err := p.post("text"); got != "text" || err != nil {
			t.Errorf("a POST: %q, %v", got, err)
		}
		p.bus.mu.Lock()
		p.bus.frozen = p.owner
		p.bus.mu.Unlock()
		p.ends(t, transport.ErrAway, uncountedAsk+mostSilent*probeTime)
	})
}

func TestWhereTheBusDoesNotCountAnOwnerMayHearLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBlindPair(t, time.Now()) // both have been back for a moment
		go func() {
			time.Sleep(settleTime - settlePause)
			p.serve(p.echo)
		}()
		if got, err := p.post("text"); got != "text" || err != nil {
			t.Errorf("a POST: %q, %v", got, err)
		}
		synctest.Wait()
		if len(p.executed) != 1 {
			t.Errorf("executed %q", p.executed)
		}
	})
}

func TestWhereTheBusDoesNotCountADeadOwnerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBlindPair(t, time.Time{})
		p.serve(flushing(func(*http.ResponseController) { time.Sleep(time.Hour) }))
		go func() {
			time.Sleep(time.Second)
			p.bus.end(p.owner)
		}()
		p.ends(t, transport.ErrAway, uncountedAsk+probeTime)
		time.Sleep(time.Hour) // the handler is done
	})
}

func TestWhereTheBusDoesNotCountADeadAskerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBlindPair(t, time.Time{})
		failed := make(chan error, 1)
		p.serve(flushing(func(rc *http.ResponseController) { failed <- rc.Flush() }))
		go func() {
			time.Sleep(time.Second / 2)
			p.bus.end(p.asker) // its client has not taken the answer
		}()
		w := &stuckWriter{ResponseWriter: httptest.NewRecorder(), release: make(chan struct{})}
		asked := make(chan any, 1)
		go func() {
			defer func() { asked <- recover() }()
			_ = p.asker.Forward(w, httptest.NewRequest("GET", "/chat?id=x", nil), "c", nil)
		}()
		began := time.Now()
		if err := <-failed; !errors.Is(err, transport.ErrUndelivered) || time.Since(began) != askerTime {
			t.Errorf("an answer: %v after %v", err, time.Since(began))
		}
		close(w.release)
		if v := <-asked; v != http.ErrAbortHandler { // who has a part of the answer is cut off
			t.Errorf("the asker has ended with %v", v)
		}
	})
}

// flushing returns a handler that writes something and calls f.
func flushing(f func(*http.ResponseController)) transport.ForwardHandler {
	return func(w transport.ForwardWriter, _ *http.Request, _ []byte) {
		_, _ = io.WriteString(w, "text") // the asker may be gone
		f(http.NewResponseController(w))
	}
}

// A stuckWriter does not take what is written before release.
type stuckWriter struct {
	http.ResponseWriter
	release chan struct{}
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.release
	return w.ResponseWriter.Write(p)
}
