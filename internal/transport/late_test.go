package transport

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
)

// A latePoll is a poll that another node got, as its owner serves it.
type latePoll struct {
	*httptest.ResponseRecorder
	asked   int
	awaited func(asked int) error // the other node's word on its client
	flush   func() error          // returns when the client has the answer
	served  chan struct{}
}

func (p *latePoll) Awaited() error {
	p.asked++
	return p.awaited(p.asked)
}

func (p *latePoll) FlushError() error { return p.flush() }

// forwardedPoll lets n serve a poll of another node.
func (n *node) forwardedPoll(url string, awaited func(asked int) error) *latePoll {
	p := &latePoll{httptest.NewRecorder(), 0, awaited, func() error { return nil }, make(chan struct{})}
	p.start(n, url)
	return p
}

func (p *latePoll) start(n *node, url string) {
	go func() {
		defer close(p.served)
		n.endpoint.serveForwarded(p, httptest.NewRequest(http.MethodGet, url, nil), nil)
	}()
	synctest.Wait()
}

// answeredPoll lets n answer a poll of another node with data, and wait for the word
// that the client has it.
func (n *node) answeredPoll(url string, a *echoApp, data string) (confirmed chan<- error) {
	said := make(chan error)
	p := &latePoll{httptest.NewRecorder(), 0, unasked, func() error { return <-said }, make(chan struct{})}
	p.start(n, url)
	_ = a.conn.Send(text(data))
	synctest.Wait()
	return said
}

func stillWaits(int) error { return nil }
func isGone(int) error     { return ErrUndelivered }
func unasked(int) error    { panic("nothing has to be ended") }

// A node dies with a poll that the owner gets only after the next one, which the
// client has sent to another node.
func TestAPollThatComesLateEndsNoOtherOne(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		n.do("GET", url, "")
		a := n.app()
		pending := n.pendingPoll(url, a)
		<-n.forwardedPoll(url, isGone).served

		dead := n.forwardedPoll(url, stillWaits) // the client has sent this one after all others
		checkPoll(t, "the poll before", pending.response("GET"), 204, textPlain, "")
		next := make(chan struct{})
		late := n.forwardedPoll(url, func(asked int) error {
			if asked == 1 {
				<-next // it was awaited when the other node said so
				return nil
			}
			return ErrUndelivered
		})
		newest := n.dial()
		newest.request("GET", url, "")
		<-dead.served
		close(next)
		<-late.served
		_ = a.conn.Send(text("data"))
		checkPoll(t, "the newest poll", newest.response("GET"), 200, octetStream, "data")
		if late.asked != 2 || late.Code != 200 || late.Body.Len() != 0 {
			t.Errorf("the late poll was asked for %d times: %d %q", late.asked, late.Code, late.Body)
		}
	})
}

// The client has the answer, and polls again, before the owner knows that.
func TestAPollWaitsForTheConfirmationOfTheOneBefore(t *testing.T) {
	for name, lost := range map[string]bool{"that comes": false, "that does not come": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
				url := n.negotiate()
				n.do("GET", url, "")
				a := n.app()
				confirmed := n.answeredPoll(url, a, "one")
				next := n.forwardedPoll(url, unasked)
				_ = a.conn.Send(text("two"))
				want := "two"
				if lost {
					confirmed <- ErrUndelivered
					want = "onetwo"
				} else {
					confirmed <- nil
				}
				<-next.served
				if next.Code != 200 || next.Body.String() != want {
					t.Errorf("the next poll: %d %q, want %q", next.Code, next.Body, want)
				}
			})
		})
	}
}

// Two nodes die, one with an answer and one with the poll after it: the client's next
// poll waits longest, and is the one that counts.
func TestAPollThatWaitedWithItsNodeDeadEndsNoOtherOne(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		url := n.negotiate()
		n.do("GET", url, "")
		a := n.app()
		confirmed := n.answeredPoll(url, a, "data")
		dead := n.forwardedPoll(url, isGone)
		newest := n.dial()
		newest.request("GET", url, "")
		synctest.Wait()
		confirmed <- ErrUndelivered
		checkPoll(t, "the newest poll", newest.response("GET"), 200, octetStream, "data")
		<-dead.served
	})
}
