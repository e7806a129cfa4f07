package server_test

import (
	"encoding/json"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/server"
)

// A longHub sends its caller numbered texts of 1,000 bytes.
type longHub struct{ ended chan error }

func (longHub) Echo(text string) string { return text }

func (longHub) Long(call *server.Call, count int) error {
	for i := range count {
		if err := call.Clients().Caller().Send(call.Context(), "M", strconv.Itoa(i)+strings.Repeat(".", 1000)); err != nil {
			return err
		}
	}
	return nil
}

func (h longHub) OnDisconnected(_ *server.Call, cause error) { h.ended <- cause }

func newLongHub() (longHub, *server.Hub) {
	h := longHub{make(chan error, 1)}
	return h, newHub(h, &server.Options{StatefulReconnectBufferSize: 2000, Endpoint: server.EndpointOptions{AllowStatefulReconnects: true}})
}

// negotiateStateful returns the query that opens a socket of a new connection.
func negotiateStateful(t *testing.T, hub *server.Hub) string {
	t.Helper()
	w := httptest.NewRecorder()
	hub.ServeHTTP(w, httptest.NewRequest("POST", "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=true", nil))
	var answer struct {
		ConnectionToken      string
		UseStatefulReconnect bool
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || !answer.UseStatefulReconnect {
		t.Fatalf("negotiate: %s, %v", w.Body, err)
	}
	return "?id=" + answer.ConnectionToken
}

const handshake2 = `{"protocol":"json","version":2}`

func echo(id, text string) string {
	return `{"type":1,"invocationId":"` + id + `","target":"Echo","arguments":["` + text + `"]}`
}

func answer(id, text string) string {
	return `{"type":3,"invocationId":"` + id + `","result":"` + text + `"}`
}

// Source: docs/reference/hub-protocol.md, section 5.
func TestExactlyWhatWasNotAcknowledgedIsSentAgain(t *testing.T) {
	_, hub := newLongHub()
	url, query := serve(t, hub), negotiateStateful(t, hub)
	c := dial(t, url, query)
	c.send(handshake2)
	c.expect(`{}`)
	c.send(echo("1", "a"), echo("2", "b"), echo("3", "c"))
	c.expect(answer("1", "a"), answer("2", "b"), answer("3", "c"))
	c.send(`{"type":8,"sequenceId":2}`, echo("4", "d"))
	c.expect(answer("4", "d")) // the Ack has been read, too
	_ = c.conn.Close()

	// The client has not seen answers 3 and 4, and says again what it has no Ack of.
	c = dial(t, url, query)
	c.expect(`{"type":9,"sequenceId":3}`, answer("3", "c"), answer("4", "d"))
	c.send(`{"type":9,"sequenceId":3}`, echo("3", "c"), echo("4", "d"), echo("5", "e"))
	c.expect(answer("5", "e")) // 3 and 4 came twice and are called once
	_ = c.conn.Close()

	// Numbers that have not been there yet are an error.
	c = dial(t, url, query)
	c.expect(`{"type":9,"sequenceId":3}`, answer("3", "c"), answer("4", "d"), answer("5", "e"))
	c.send(`{"type":9,"sequenceId":7}`)
	c.expect(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
}

func TestAClientThatAcknowledgesInTimeGetsMoreThanTheBufferHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, hub := newLongHub()
		c := openFakeAt(t, hub, "/hub"+negotiateStateful(t, hub))
		c.say(handshake2)
		c.say(`{"type":1,"target":"Long","arguments":[6]}`)
		for acked := range 6 {
			time.Sleep(4 * time.Second) // less than the server waits
			c.say(`{"type":8,"sequenceId":` + strconv.Itoa(acked+1) + `}`)
		}
		synctest.Wait()
		if n := c.count(`"target":"M"`); n != 6 {
			t.Errorf("received %d texts, want 6", n)
		}
		c.end(t, hub)
		if err := <-h.ended; err != nil {
			t.Errorf("OnDisconnected got %v", err)
		}
	})
}

func TestAClientThatNeverAcknowledgesIsToldWhyItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, hub := newLongHub()
		c := openFakeAt(t, hub, "/hub"+negotiateStateful(t, hub))
		c.say(handshake2)
		c.say(`{"type":1,"target":"Long","arguments":[6]}`)
		time.Sleep(4900 * time.Millisecond)
		if n, ended := c.count(`"target":"M"`), c.count(`"type":7`); n != 2 || ended != 0 {
			t.Errorf("after 4.9 s: %d texts, %d Close; want 2 texts: more does not fit", n, ended)
		}
		time.Sleep(200 * time.Millisecond)
		if at := c.events(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`); len(at) != 1 {
			t.Errorf("Close at %v, want one after 5 s", at)
		}
		if err := <-h.ended; err == nil || err.Error() != "The operation was canceled." {
			t.Errorf("OnDisconnected got %v", err)
		}
		c.end(t, hub)
	})
}

// A patientHub waits until its call is cancelled.
type patientHub struct{}

func (patientHub) Wait(call *server.Call) (string, error) {
	select {
	case <-call.Context().Done():
		return "cancelled", nil
	case <-time.After(time.Hour):
		return "", server.NewHubError("nobody has cancelled")
	}
}

func (patientHub) Echo(text string) string { return text }

func TestPlainCallsCanBeCancelledAndAreAnswered(t *testing.T) {
	c := connect(t, serve(t, newHub(patientHub{}, nil)))
	c.send(`{"type":1,"invocationId":"1","target":"Wait","arguments":[]}`, `{"type":5,"invocationId":"nobody"}`, `{"type":5,"invocationId":"1"}`)
	c.expect(answer("1", "cancelled"))
	c.send(`{"type":5,"invocationId":"1"}`, echo("1", "the id is free again")) // too late: nothing happens
	c.expect(answer("1", "the id is free again"))
}

// Source: docs/reference/hub-protocol.md, section 5.5.
func TestAResumedConnectionGetsWhatItMissedInOneFrame(t *testing.T) {
	_, hub := newLongHub()
	url, query := serve(t, hub), negotiateStateful(t, hub)
	c := dial(t, url, query)
	c.send(handshake2)
	c.expect(`{}`)
	c.send(echo("1", "a"), echo("2", "b"))
	c.expect(answer("1", "a"), answer("2", "b"))
	_ = c.conn.Close()

	c = dial(t, url, query)
	want := strings.Join([]string{`{"type":9,"sequenceId":1}`, answer("1", "a"), answer("2", "b"), ""}, "\x1e")
	if got := c.frame(); got != want {
		t.Errorf("first frame %q\n      want %q", got, want)
	}
}

func TestWhatIsLongIsSentAgainInSeveralFramesOfWholeMessages(t *testing.T) {
	hub := newHub(benchHub{}, &server.Options{
		StatefulReconnectBufferSize: 10_000_000,
		Endpoint:                    server.EndpointOptions{AllowStatefulReconnects: true},
	})
	url, query := serve(t, hub), negotiateStateful(t, hub)
	c := dial(t, url, query)
	c.send(handshake2)
	c.expect(`{}`)
	c.send(echo("1", "a"))
	c.expect(answer("1", "a"))
	sizes := []int{400_000, 400_000, 400_000, 2_000_000, 10}
	for _, size := range sizes {
		if err := hub.Clients().All().Send(t.Context(), "M", strings.Repeat("x", size)); err != nil {
			t.Fatal(err)
		}
		c.receive()
	}
	_ = c.conn.Close()

	c = dial(t, url, query)
	for _, want := range []int{4, 1, 1, 1} { // Sequence, answer and two texts; then one, the long one, the last
		got := c.frame()
		if n := strings.Count(got, "\x1e"); n != want || !strings.HasSuffix(got, "\x1e") {
			t.Fatalf("a frame of %d bytes with %d messages, want %d whole ones", len(got), n, want)
		}
	}
}
