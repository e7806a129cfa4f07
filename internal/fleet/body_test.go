package fleet

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// slowly sends a POST to the asker, whose client sends a piece and a bit of its body,
// and the rest when it is told to.
func (p *pair) slowly(ctx context.Context, t *testing.T) (rest *io.PipeWriter, sent <-chan error) {
	body, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		defer func() { _ = recover() }() // http.ErrAbortHandler
		done <- p.asker.Forward(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "POST", "/chat?id=x", body), "c", nil)
	}()
	if _, err := io.WriteString(in, strings.Repeat("x", pieceSize+1)); err != nil {
		t.Fatal(err)
	}
	return in, done
}

// read serves requests at the owner, and says how their bodies end.
func (p *pair) read() <-chan error {
	ends := make(chan error, 1)
	p.serve(func(w transport.ForwardWriter, r *http.Request, _ []byte) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil && n != pieceSize+2 {
			err = errors.New("bytes are missing")
		}
		ends <- err
		w.WriteHeader(http.StatusOK)
	})
	return ends
}

func TestABodyIsAwaitedForAsLongAsItsClientSends(t *testing.T) {
	onBothWays(t, func(t *testing.T, p *pair) {
		ends := p.read()
		rest, sent := p.slowly(t.Context(), t)
		time.Sleep(time.Minute)
		_, _ = io.WriteString(rest, "y") // it fails only if nobody reads on
		_ = rest.Close()
		if err := <-ends; err != nil {
			t.Errorf("the body has ended with %v", err)
		}
		if err := <-sent; err != nil {
			t.Errorf("the request has failed: %v", err)
		}
	})
}

// Who has died in the middle of a body says nothing more.
func TestABodyIsNotAwaitedFromANodeThatHasDied(t *testing.T) {
	onBothWays(t, func(t *testing.T, p *pair) {
		ends := p.read()
		ctx, leave := context.WithCancel(t.Context())
		rest, sent := p.slowly(ctx, t)
		synctest.Wait()
		p.bus.freeze(p.asker)
		p.bus.end(p.asker)
		if l := p.link(); l != nil {
			l.end(errIdle)
		}
		begun := time.Now()
		if err := <-ends; !errors.Is(err, io.ErrUnexpectedEOF) || time.Since(begun) > 2*probeTime {
			t.Errorf("the body has ended with %v after %v", err, time.Since(begun))
		}
		leave()
		_ = rest.Close()
		select {
		case <-sent:
		case <-time.After(time.Hour):
			t.Error("the asker has not ended")
		}
	})
}
