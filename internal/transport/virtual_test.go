package transport

import (
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeLink is the way to a client that another server holds. It takes so many
// frames as room says.
type fakeLink struct {
	mu     sync.Mutex
	room   int
	got    []string
	closed []bool // whether it was cut, for each call
}

func (l *fakeLink) Write(f Frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room == 0 {
		return false
	}
	l.room--
	l.got = append(l.got, string(f.Payload()))
	return true
}

func (l *fakeLink) Closed(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = append(l.closed, cut)
}

func (l *fakeLink) open(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room = n
}

func (l *fakeLink) state() (got string, closed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.got, " "), len(l.closed)
}

// openVirtual opens a connection over l, whose App is made by app.
func openVirtual(t *testing.T, l *fakeLink, app *echoApp) (*Endpoint, *Conn) {
	t.Helper()
	app.over = make(chan struct{})
	e := NewEndpoint(defaults(), func(c *Conn) App {
		app.conn = c
		return app
	})
	c, err := e.Open(Virtual{ID: "far", Request: httptest.NewRequest("GET", "/hub?x=1", nil), User: "u", Link: l})
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

func TestAVirtualConnectionKeepsItsOrderWhenItsLinkIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLink{room: 2}
		_, c := openVirtual(t, l, &echoApp{silent: true})
		for _, s := range []string{"1", "2", "3", "4", "5"} {
			if err := c.Send(text(s)); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := l.state(); got != "1 2" {
			t.Errorf("the link was given %q, want what it has room for", got)
		}
		c.Finish()
		l.open(2)
		c.Ready()
		if got, closed := l.state(); got != "1 2 3 4" || closed != 0 {
			t.Errorf("given %q, closed %d times, with one message left", got, closed)
		}
		l.open(9)
		c.Ready()
		c.Ready()
		if got, closed := l.state(); got != "1 2 3 4 5" || closed != 1 || l.closed[0] {
			t.Errorf("given %q, closed %d times (cut: %v), want all in order, then one proper end", got, closed, l.closed)
		}
		if err := c.Send(text("6")); !errors.Is(err, ErrClosed) {
			t.Errorf("Send after the end: %v", err)
		}
		synctest.Wait()
		if c.endpoint.lookup(c.Token()) != nil {
			t.Error("the connection is still in the table")
		}
	})
}

func TestWhatAVirtualClientSentBeforeItLeftIsReceivedThenItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLink{room: 99}
		release := make(chan struct{})
		app := &echoApp{}
		app.receive = func([]byte, bool) bool {
			<-release
			return true
		}
		_, c := openVirtual(t, l, app)
		if c.ID() != "far" || c.User() != "u" || c.Request().URL.RawQuery != "x=1" || c.Transport() != WebSockets {
			t.Errorf("id %q, user %v, query %q, %v", c.ID(), c.User(), c.Request().URL.RawQuery, c.Transport())
		}
		for _, s := range []string{"a", "b", "c"} {
			if err := c.Received([]byte(s), 10); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		c.Left()
		if err := c.Received([]byte("late"), 10); err != nil || app.hasEnded() {
			t.Errorf("after it has left: %v, ended %v", err, app.hasEnded())
		}
		close(release)
		<-app.over
		if got := app.got(); got != "abc" || app.cause != nil {
			t.Errorf("received %q, then the end %v", got, app.cause)
		}
		synctest.Wait()
		if _, closed := l.state(); closed != 1 {
			t.Errorf("the link was closed %d times", closed)
		}
	})
}

func TestAVirtualClientThatHasLeftEndsThoughItsAppTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &echoApp{}
		app.receive = func([]byte, bool) bool {
			<-app.conn.Done() // as a hub that waits for space in its inbox
			return true
		}
		_, c := openVirtual(t, &fakeLink{room: 99}, app)
		_ = c.Received([]byte("x"), 10)
		synctest.Wait()
		begin := time.Now()
		c.Left()
		<-app.over
		if took := time.Since(begin); took != lastInput {
			t.Errorf("ended after %v, want %v", took, lastInput)
		}
		synctest.Wait()
	})
}

func TestAVirtualConnectionTakesNoMoreBytesThanMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		app := &echoApp{}
		app.receive = func([]byte, bool) bool {
			<-release
			return true
		}
		_, c := openVirtual(t, &fakeLink{room: 99}, app)
		_ = c.Received([]byte("0"), 4)
		synctest.Wait() // the App has it
		if err := c.Received([]byte("1234"), 4); err != nil {
			t.Errorf("as many as may wait: %v", err)
		}
		if err := c.Received([]byte("5"), 4); !errors.Is(err, ErrTooMuch) {
			t.Errorf("one more: %v", err)
		}
		c.Abort(ErrTooMuch)
		<-app.over
		close(release)
		synctest.Wait()
		if got := app.got(); got != "0" || !errors.Is(app.cause, ErrTooMuch) {
			t.Errorf("received %q, ended by %v", got, app.cause)
		}
		if !c.http.virtual.told {
			t.Error("the link does not know that it was cut")
		}
	})
}

func TestAVirtualConnectionIsReadOnByWhoeverHasTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &echoApp{}
		kept := make(chan struct{})
		app.receive = func(p []byte, isReader bool) bool {
			if !isReader {
				t.Error("the goroutine could not be kept")
			}
			if string(p) == "slow" {
				go app.conn.ReadOn()
				<-kept
				return false
			}
			_ = app.conn.Send(text(string(p)))
			return true
		}
		l := &fakeLink{room: 99}
		_, c := openVirtual(t, l, app)
		_ = c.Received([]byte("slow"), 99)
		synctest.Wait()
		_ = c.Received([]byte("next"), 99)
		synctest.Wait()
		if got, _ := l.state(); got != "next" {
			t.Errorf("answers while a method keeps the goroutine: %q", got)
		}
		close(kept)
		c.Left()
		<-app.over
		synctest.Wait()
	})
}

func TestShutdownEndsVirtualConnectionsAndRefusesNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLink{room: 99}
		e, _ := openVirtual(t, l, &echoApp{})
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got, closed := l.state(); got != "farewell" || closed != 1 {
			t.Errorf("given %q, closed %d times", got, closed)
		}
		if _, err := e.Open(Virtual{ID: "b", Request: httptest.NewRequest("GET", "/", nil), Link: l}); !errors.Is(err, ErrShutdown) {
			t.Errorf("Open afterwards: %v", err)
		}
	})
}
