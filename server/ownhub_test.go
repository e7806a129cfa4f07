package server_test

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/server"
)

// diary is a hub with the state of one connection in its fields.
type diary struct {
	mu    sync.Mutex
	lines []string
	ended chan<- string
}

func (d *diary) note(line string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
	return strings.Join(d.lines, " ")
}

func (d *diary) OnConnected(*server.Call) error           { d.note("connected"); return nil }
func (d *diary) OnDisconnected(_ *server.Call, err error) { d.ended <- d.note("ended") }
func (d *diary) Note(line string) string                  { return d.note(line) }
func (d *diary) NoteTwice(lines [2]string) string         { d.note(lines[0]); return d.note(lines[1]) }
func (d *diary) NoteAll(lines <-chan string) (all string) {
	for line := range lines {
		all = d.note(line)
	}
	return all
}

func quiet() *server.Options { return &server.Options{Logger: slog.New(slog.DiscardHandler)} }

func TestEachConnectionHasAHubOfItsOwn(t *testing.T) {
	ended := make(chan string, 2)
	url := serve(t, server.MustHubFunc(func(call *server.Call) (*diary, error) {
		d := &diary{ended: ended}
		d.note("made")
		return d, nil
	}, quiet()))
	a, b := connect(t, url), connect(t, url)
	a.call("1", "Note", `["a"]`, `"result":"made connected a"`)
	b.call("1", "NoteTwice", `[["b","c"]]`, `"result":"made connected b c"`)
	a.call("2", "note", `["d"]`, `"result":"made connected a d"`)
	b.send(`{"type":1,"invocationId":"3","target":"NoteAll","arguments":[],"streamIds":["s"]}`,
		`{"type":2,"invocationId":"s","item":"e"}`, `{"type":3,"invocationId":"s"}`)
	b.expect(`{"type":3,"invocationId":"3","result":"made connected b c e"}`)
	a.send(`{"type":7}`)
	if got := <-ended; got != "made connected a d ended" {
		t.Errorf("the hub of the first connection has noted %q", got)
	}
	b.send(`{"type":7}`)
	if got := <-ended; got != "made connected b c e ended" {
		t.Errorf("the hub of the second connection has noted %q", got)
	}
}

// valueDiary is a hub by value.
type valueDiary struct{ of string }

func (d valueDiary) Of() string                   { return d.of }
func (d valueDiary) Each(float32) (string, error) { return d.of, nil }

func TestTheHubOfAConnectionMayBeAValue(t *testing.T) {
	n := 0
	var mu sync.Mutex
	url := serve(t, server.MustHubFunc(func(call *server.Call) (valueDiary, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return valueDiary{fmt.Sprint("number ", n)}, nil
	}, quiet()))
	for i := 1; i < 3; i++ {
		c := connect(t, url)
		c.call("1", "Of", `[]`, fmt.Sprintf(`"result":"number %d"`, i))
		c.call("2", "Each", `[1]`, fmt.Sprintf(`"result":"number %d"`, i))
	}
}

func TestAHubThatCannotBeMadeRefusesItsConnectionAsOnConnectedDoes(t *testing.T) {
	const refused = `{"type":7,"error":"Connection closed with an error.`
	for name, test := range map[string]struct {
		create func(*server.Call) (*diary, error)
		want   string
	}{
		"an error":   {func(*server.Call) (*diary, error) { return nil, errors.New("secret") }, refused + `"}`},
		"a HubError": {func(*server.Call) (*diary, error) { return nil, server.NewHubError("no place") }, refused + ` HubException: no place"}`},
		"nil":        {func(*server.Call) (*diary, error) { return nil, nil }, refused + `"}`},
		"a question": {func(call *server.Call) (*diary, error) {
			_, err := server.Invoke[int](call.Context(), call.Clients().Caller(), "M")
			return &diary{}, err
		}, refused + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			opts := quiet()
			opts.Filters = []server.Filter{{
				OnConnected:    func(*server.Call, func(*server.Call) error) error { t.Error("OnConnected was called"); return nil },
				OnDisconnected: func(*server.Call, error, func(*server.Call, error)) { t.Error("OnDisconnected was called") },
			}}
			c := dial(t, serve(t, server.MustHubFunc(test.create, opts)), "")
			c.handshake()
			c.expect(test.want, "close 1000")
		})
	}
}

func TestAHubForEachConnectionIsCheckedLikeOneForAll(t *testing.T) {
	for want, make := range map[string]func() (*server.Hub, error){
		"the function that makes the hubs is nil": func() (*server.Hub, error) { return server.NewHubFunc[*diary](nil, nil) },
		"the function returns a interface {}; it must return the type whose methods clients call": func() (*server.Hub, error) {
			return server.NewHubFunc(func(*server.Call) (any, error) { return &diary{}, nil }, nil)
		},
		"server_test.wrongHub: method Each": func() (*server.Hub, error) {
			return server.NewHubFunc(func(*server.Call) (wrongHub, error) { return wrongHub{}, nil }, nil)
		},
		"methods with a pointer receiver": func() (*server.Hub, error) {
			return server.NewHubFunc(func(*server.Call) (pointerHub, error) { return pointerHub{}, nil }, nil)
		},
		"StreamBufferCapacity is -1": func() (*server.Hub, error) {
			return server.NewHubFunc(func(*server.Call) (*diary, error) { return nil, nil }, &server.Options{StreamBufferCapacity: -1})
		},
	} {
		var typed *server.HubTypeError
		if hub, err := make(); hub != nil || !errors.As(err, &typed) || !strings.Contains(err.Error(), want) {
			t.Errorf("NewHubFunc = %v, %v, want %s", hub, err, want)
		}
	}
}

func TestTheHubOfAConnectionIsReleasedWithIt(t *testing.T) {
	ended, released := make(chan string, 1), make(chan struct{})
	url := serve(t, server.MustHubFunc(func(*server.Call) (*diary, error) {
		d := &diary{ended: ended}
		runtime.AddCleanup(d, func(released chan struct{}) { close(released) }, released)
		return d, nil
	}, quiet()))
	c := connect(t, url)
	c.call("1", "Note", `["a"]`, `"result":"connected a"`)
	_ = c.conn.Close() // a server that closes keeps the connection until its client has closed, too
	<-ended
	for gone := false; !gone; { // for ever, if something keeps it
		runtime.GC()
		select {
		case <-released:
			gone = true
		default:
			runtime.Gosched()
		}
	}
}
