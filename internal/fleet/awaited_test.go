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

// onBothWays runs f with a pair without a link, and with one.
func onBothWays(t *testing.T, f func(t *testing.T, p *pair)) {
	for name, direct := range map[string]bool{"over the Bus": false, "directly": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				if direct {
					p.linked(t)
				}
				f(t, p)
			})
		})
	}
}

// poll sends a poll to the asker, which ends with ctx.
func (p *pair) poll(ctx context.Context) (answer string, err error) {
	w := httptest.NewRecorder()
	err = p.asker.Forward(w, httptest.NewRequestWithContext(ctx, "GET", "/chat?id=x", nil), "c", nil)
	return w.Body.String(), err
}

func TestARequestIsAwaitedWhileItsClientIsThere(t *testing.T) {
	onBothWays(t, func(t *testing.T, p *pair) {
		p.serve(func(w transport.ForwardWriter, _ *http.Request, _ []byte) {
			for range 3 {
				if err := w.Awaited(); err != nil {
					t.Errorf("Awaited = %v", err)
				}
				time.Sleep(time.Minute)
			}
			_, _ = io.WriteString(w, "answer") // the asker is gone otherwise
		})
		if got, err := p.poll(t.Context()); got != "answer" || err != nil {
			t.Errorf("answer %q, %v", got, err)
		}
	})
}

func TestARequestIsNotAwaitedOnceItsClientIsGone(t *testing.T) {
	onBothWays(t, func(t *testing.T, p *pair) {
		ctx, leave := context.WithCancel(t.Context())
		said := make(chan error, 1)
		p.serve(func(w transport.ForwardWriter, _ *http.Request, _ []byte) {
			leave()
			said <- w.Awaited()
		})
		if _, err := p.poll(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the poll: %v", err)
		}
		if err := <-said; !errors.Is(err, transport.ErrUndelivered) {
			t.Errorf("Awaited = %v", err)
		}
	})
}

// The cancel of a client that has gone may be lost on the way.
func TestARequestIsNotAwaitedByANodeThatDoesNotKnowIt(t *testing.T) {
	onBothWays(t, func(t *testing.T, p *pair) {
		said := make(chan error, 1)
		p.serve(func(w transport.ForwardWriter, _ *http.Request, _ []byte) {
			p.asker.mu.Lock()
			clear(p.asker.asks)
			p.asker.mu.Unlock()
			said <- w.Awaited()
		})
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		polled := make(chan struct{})
		go func() {
			defer close(polled)
			_, _ = p.poll(ctx) // nothing answers it
		}()
		if err := <-said; !errors.Is(err, transport.ErrUndelivered) {
			t.Errorf("Awaited = %v", err)
		}
		leave()
		<-polled
	})
}

// Redis counts a node for a moment that has been killed.
func TestARequestIsNotAwaitedByANodeThatHasDied(t *testing.T) {
	onBothWays(t, func(t *testing.T, p *pair) {
		asked := make(chan struct{})
		said := make(chan error, 1)
		p.serve(func(w transport.ForwardWriter, _ *http.Request, _ []byte) {
			<-asked
			said <- w.Awaited()
		})
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		polled := make(chan struct{})
		go func() {
			defer close(polled)
			_, _ = p.poll(ctx) // nothing answers it
		}()
		synctest.Wait()
		p.bus.freeze(p.asker)
		p.gate.close()
		close(asked)
		time.Sleep(2*askerTime + askerTime/2)
		select {
		case err := <-said:
			t.Fatalf("Awaited = %v while the asker is counted", err)
		default:
		}
		p.bus.end(p.asker)
		if l := p.link(); l != nil {
			l.end(errIdle)
		}
		p.gate.open()
		if err := <-said; !errors.Is(err, transport.ErrUndelivered) {
			t.Errorf("Awaited = %v", err)
		}
		leave()
		<-polled
	})
}

// A Redis Cluster counts nobody, so that who has died is not known to have. An asker
// that is only frozen is given an empty answer.
func TestARequestIsNotAwaitedByANodeThatIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		asked := make(chan struct{})
		p.serve(func(w transport.ForwardWriter, _ *http.Request, _ []byte) {
			<-asked
			began := time.Now()
			if err := w.Awaited(); !errors.Is(err, transport.ErrUndelivered) || time.Since(began) != probeTime {
				t.Errorf("Awaited = %v after %v", err, time.Since(began))
			}
			p.bus.freeze(nil)
		})
		go func() {
			synctest.Wait()
			p.bus.freeze(p.asker)
			close(asked)
		}()
		if got, err := p.poll(t.Context()); got != "" || err != nil {
			t.Errorf("the poll: %q, %v", got, err)
		}
	})
}
