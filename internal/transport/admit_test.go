package transport

import (
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/admission"
)

// oneAtATime is a queue that lets one client in, until that has opened.
func oneAtATime() *admission.Queue {
	return admission.New(admission.Options{
		Opening: 1, AddressOpening: 1, MaximumWaiting: math.MaxInt, MaximumHold: 45 * time.Second, Lease: time.Hour,
	})
}

// A negotiate may be held for longer than the http.Server's timeouts. It has no
// body, but one that has must be held as long, and the end of its client noticed,
// which a body that nobody reads would prevent.
func TestANegotiateIsHeldWhateverTheServersTimeoutsAndItsBody(t *testing.T) {
	opts := defaults()
	opts.Admission = oneAtATime()
	short := func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 10*time.Second, 10*time.Second }
	inBubbleOf(t, opts, nil, short, func(t *testing.T, n *node) {
		first := n.negotiate()
		waits, leaves := n.dial(), n.dial()
		for _, p := range []*peer{waits, leaves} {
			p.request("POST", "/hub/negotiate?negotiateVersion=1", "a body that nobody wants")
			synctest.Wait()
		}
		time.Sleep(20 * time.Second) // the first connection is forgotten meanwhile, and the next one let in
		if r := waits.response("POST"); r.status != 200 {
			t.Errorf("the one that waits: %v", r)
		}
		_ = leaves.conn.Close()
		synctest.Wait()
		if got := opts.Admission.Stats(); got.Left != 1 || got.Waiting != 0 || got.Admitted != 2 {
			t.Errorf("%+v, want one that has left", got)
		}
		if r := n.do("GET", first, ""); r.status != 404 {
			t.Errorf("the first one, which never connected: %v", r)
		}
	})
}

// Who could not be served anyway does not wait for it.
func TestNobodyIsHeldForAnEndpointThatIsFull(t *testing.T) {
	opts := defaults()
	opts.Admission, opts.MaximumConnections = oneAtATime(), 1
	inBubble(t, opts, nil, func(t *testing.T, n *node) {
		n.upgrade("/hub")
		n.app().conn.Opened()
		for _, method := range []string{"POST", "GET"} {
			path, headers := "/hub/negotiate", []string(nil)
			if method == "GET" {
				path, headers = "/hub", handshakeHeaders
			}
			if r := n.do(method, path, "", headers...); r.status != 503 || r.body != errFull.Error() {
				t.Errorf("%s %s: %v", method, path, r)
			}
		}
		if got := opts.Admission.Stats(); got.Admitted != 1 || got.Opening != 0 {
			t.Errorf("%+v, want one that was let in", got)
		}
	})
}

// A client that was let in, and for which there is no room any more, gives its
// place back.
func TestWhoIsLetInAndFindsNoRoomDoesNotCount(t *testing.T) {
	opts := defaults()
	opts.Admission, opts.MaximumNegotiated = oneAtATime(), 1
	inBubble(t, opts, nil, func(t *testing.T, n *node) {
		_, err := n.endpoint.newNegotiated(1, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r := n.do("POST", "/hub/negotiate", ""); r.status != 503 || r.body != errNegotiatedFull.Error() {
			t.Errorf("negotiate: %v", r)
		}
		if got := opts.Admission.Stats(); got.Opening != 0 {
			t.Errorf("%d are opening, want none", got.Opening)
		}
	})
}

// What a peer is told does not depend on an Admission that lets it in at once.
func TestAnAdmissionChangesNoAnswer(t *testing.T) {
	opts := defaults()
	with := defaults()
	with.Admission = admission.New(admission.Options{
		Opening: math.MaxInt, AddressOpening: math.MaxInt, MaximumWaiting: math.MaxInt, MaximumHold: time.Minute, Lease: time.Minute,
	})
	var answers [2][]reply
	for i, o := range []Options{opts, with} {
		inBubble(t, o, nil, func(t *testing.T, n *node) {
			for _, path := range []string{"/hub/negotiate?negotiateVersion=1", "/hub/negotiate", "/hub/negotiate?negotiateVersion=x"} {
				r := n.do("POST", path, "")
				if len(r.body) > 60 {
					r.body = r.body[:20] // then come ids
				}
				answers[i] = append(answers[i], r)
			}
			p := n.dial()
			p.request("GET", "/hub", "", handshakeHeaders...)
			r := p.response("GET")
			r.header.Del("Date")
			answers[i] = append(answers[i], r)
		})
	}
	for i := range answers[0] {
		if a, b := answers[0][i].String(), answers[1][i].String(); a != b {
			t.Errorf("without an Admission: %s\nwith one: %s", a, b)
		}
	}
}
