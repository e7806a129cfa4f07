package telemetry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
)

const base = "http://node"

// A player plays a step in memory, as record.mjs of the recording has played it
// over a network. It runs inside a bubble: all times are fake.
type player struct {
	t        *testing.T
	node     *node
	listener *memnet.Listener
	http     *http.Client
	notes    []string
}

// playStep plays one step against a node of its own.
func playStep(t *testing.T, o nodeOptions, step func(*player)) (f facts) {
	t.Helper()
	l := memnet.Listen()
	p := &player{t: t, node: startNode(t, l, o), listener: l}
	conns := &http.Transport{DialContext: l.Link(nil).DialContext}
	p.http = &http.Client{Transport: conns}
	step(p)
	conns.CloseIdleConnections()
	time.Sleep(time.Minute) // whatever is still to end has ended
	f = p.node.rec.facts()
	f.notes = p.notes
	for _, wrong := range p.node.rec.wrong {
		t.Error(wrong)
	}
	p.node.stop(t)
	return f
}

// note notes what a client sees.
func (p *player) note(what any) { p.notes = append(p.notes, fmt.Sprint(what)) }

// say notes how a call ended, in the words of the JavaScript client.
func (p *player) say(what string, result any, err error) {
	switch call, isCall := errors.AsType[*hubclient.CallError](err); {
	case isCall:
		p.note(what + ": " + call.Text)
	case errors.Is(err, hubclient.ErrClosed):
		p.note(what + ": Invocation canceled due to the underlying connection being closed.")
	case err != nil:
		p.note(what + ": " + err.Error())
	case result == undefined{}:
		p.note(what + ": ok")
	default:
		text, err := json.Marshal(result)
		if err != nil {
			p.t.Error(err)
		}
		p.note(what + ": " + string(text))
	}
}

// undefined is a result that there is none of.
type undefined struct{}

// A client is a connection of the Go client that plays the JavaScript client.
type client struct {
	*hubclient.Client
	p      *player
	link   *memnet.Link
	answer bool // it has an answer to Ask
}

// clientOptions say how a client connects. The zero value is a WebSocket with JSON.
type clientOptions struct {
	transport                   string
	messagePack, stateful, skip bool
	silent                      bool // it sends no pings
	answers                     bool // it has an answer to Ask
	header                      http.Header
}

// connect connects a client; the test fails if it cannot.
func (p *player) connect(path string, o clientOptions) *client {
	p.t.Helper()
	c := &client{p: p, link: p.listener.Link(nil), answer: o.answers}
	opts := hubclient.Options{Receive: c.receive, ConnOptions: hubclient.ConnOptions{
		URL: base + path, DialContext: c.link.DialContext, Header: o.header, Transport: o.transport, SkipNegotiation: o.skip, StatefulReconnect: o.stateful,
	}}
	if o.messagePack {
		opts.Codec = protocol.MessagePack{}
	}
	if o.silent {
		opts.PingInterval = -1
	}
	var err error
	if c.Client, err = hubclient.Dial(p.t.Context(), opts); err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait() // OnConnected has returned
	return c
}

// receive answers Ask.
func (c *client) receive(m *protocol.Invocation) {
	if m.InvocationID == "" {
		return
	}
	answer := &protocol.Completion{InvocationID: m.InvocationID, Kind: protocol.ResultError, Error: "Client didn't provide a result."}
	if c.answer {
		answer.Kind, answer.Error, answer.Result = protocol.ResultValue, "", "answer"
	}
	_ = c.Write(answer) // else the connection ends, and the call with it
}

// js is a whole connection around some calls.
func js(path string, o clientOptions, calls ...func(*client)) func(*player) {
	return func(p *player) {
		c := p.connect(path, o)
		p.note("start: ok")
		for _, call := range calls {
			call(c)
		}
		c.Close()
	}
}

func invoke(method string, args ...any) func(*client) {
	return func(c *client) {
		var result any = undefined{}
		err := c.Invoke(c.p.t.Context(), &result, method, args...)
		if text := c.closeError(err); text != "" {
			err = errors.New(text)
		}
		c.p.say(method, result, err)
	}
}

// invokeWith invokes a method with an upload.
func invokeWith(method string, upload hubclient.Upload) func(*client) {
	return func(c *client) {
		var result any = undefined{}
		call, err := c.Start(method, nil, upload)
		if err == nil {
			err = call.Wait(c.p.t.Context(), &result)
		}
		c.p.say(method, result, err)
	}
}

func stream(method string, args ...any) func(*client) {
	return func(c *client) {
		call, err := c.Stream(method, args)
		c.p.sayItems(method, call, err)
	}
}

// sayItems notes the items of a stream, or its error.
func (p *player) sayItems(method string, call *hubclient.Call, err error) {
	items := []any{}
	for err == nil {
		var item any
		var ok bool
		if ok, err = call.Next(p.t.Context(), &item); !ok {
			break
		}
		items = append(items, item)
	}
	p.say(method, items, err)
}

// lasts waits.
func lasts(d time.Duration) func(*client) { return func(*client) { time.Sleep(d) } }

// end waits for the end of the connection, and notes it.
func (c *client) end(most time.Duration) {
	select {
	case <-c.Done():
		text := c.closeError(hubclient.ErrClosed)
		if text == "" {
			text = "no error"
		}
		c.p.note("closed: " + text)
	case <-time.After(most):
		c.p.note(fmt.Sprintf("closed: not closed after %.0f s", most.Seconds()))
	}
}

// closeError is what the JavaScript client makes of err, if that is the end of the
// connection and the server has said why; else it is empty.
func (c *client) closeError(err error) string {
	if !errors.Is(err, hubclient.ErrClosed) {
		return ""
	}
	<-c.Done()
	m, ok := errors.AsType[*hubclient.CloseMessage](c.Err())
	if !ok || m.Close.Error == "" {
		return ""
	}
	return "Server returned an error on close: " + m.Close.Error
}

// A raw is a WebSocket with the JSON protocol, written by hand.
type raw struct {
	*hubclient.Conn
	p       *player
	link    *memnet.Link
	records chan string // pings left out; closed at the end
	code    int         // of the close frame; set before records is closed
}

// rawOptions say how a raw connects.
type rawOptions struct {
	negotiate, stateful, noHandshake bool
	handshake                        string // empty: JSON, version 1
	header                           http.Header
}

// raw connects; the test fails if it cannot.
func (p *player) raw(path string, o rawOptions) *raw {
	p.t.Helper()
	c, err := p.tryRaw(path, o)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *player) tryRaw(path string, o rawOptions) (*raw, error) {
	c := &raw{p: p, link: p.listener.Link(nil), records: make(chan string, 1000)}
	var err error
	c.Conn, err = hubclient.Open(p.t.Context(), hubclient.ConnOptions{
		URL: base + path, DialContext: c.link.DialContext, Header: o.header, SkipNegotiation: !o.negotiate, StatefulReconnect: o.stateful,
	})
	if err != nil {
		return nil, err
	}
	go c.read() // ends with the connection, and so before the bubble
	if o.noHandshake {
		return c, nil
	}
	if o.handshake == "" {
		o.handshake = `{"protocol":"json","version":1}`
	}
	c.send(o.handshake)
	c.next(5 * time.Second)
	synctest.Wait() // OnConnected has returned; a refresh before that would change the user and nothing else
	return c, nil
}

// read hands out the records.
func (c *raw) read() {
	defer close(c.records)
	for {
		data, err := c.Read()
		if err != nil {
			c.code = 1000
			if frame, ok := errors.AsType[*hubclient.CloseFrame](err); ok {
				c.code = frame.Code
			}
			_ = c.Farewell() // the answer to a close frame; where there was none it fails
			_ = c.Close()
			return
		}
		for record := range strings.SplitSeq(string(data), "\x1e") {
			if record != "" && record != `{"type":6}` {
				select {
				case c.records <- record:
				default: // a flood that nobody looks at
				}
			}
		}
	}
}

func (c *raw) send(record string) {
	if err := c.Write([]byte(record + "\x1e")); err != nil {
		c.p.t.Error(err)
	}
}

// next returns the next record, or "nothing".
func (c *raw) next(most time.Duration) string {
	select {
	case record, ok := <-c.records:
		if ok {
			return record
		}
	case <-time.After(most):
	}
	return "nothing"
}

// answer notes the next record.
func (c *raw) answer() { c.p.note(c.next(5 * time.Second)) }

// ended waits for the end.
func (c *raw) ended() {
	for range c.records {
	}
}

// leave closes the WebSocket.
func (c *raw) leave() {
	_ = c.Farewell() // fails if the server was faster
	c.ended()
}

// reset breaks the connection.
func (c *raw) reset() { c.link.Cut() }

// call is a hub message.
func call(method string, args ...any) string { return message(1, method, args, nil) }

func message(kind int, method string, args []any, headers map[string]string) string {
	m := map[string]any{"type": kind, "invocationId": "1", "target": method, "arguments": append([]any{}, args...)}
	if headers != nil {
		m["headers"] = headers
	}
	text, _ := json.Marshal(m) // of strings and numbers
	return string(text)
}

// request makes a request of HTTP and returns its status and body.
func (p *player) request(method, path string, header http.Header, body string) (status int, text string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Error(err)
	}
	return answer.StatusCode, string(all)
}

// negotiate returns a connection token. The query is empty or begins with &.
func (p *player) negotiate(path string, query ...string) string {
	p.t.Helper()
	var answer struct{ ConnectionToken string }
	if _, body := p.request("POST", path+"/negotiate?negotiateVersion=1"+strings.Join(query, ""), nil, ""); json.Unmarshal([]byte(body), &answer) != nil || answer.ConnectionToken == "" {
		p.t.Fatalf("negotiate: %s", body)
	}
	return answer.ConnectionToken
}

// status makes a request for a connection and notes its status.
func (p *player) status(method, path string, header http.Header) {
	status, _ := p.request(method, path, header, "")
	name := method
	switch {
	case method == "GET" && header == nil && strings.Contains(path, "id="):
		name = "poll"
	case method == "DELETE" && header == nil && !strings.Contains(path, "nobody"):
		name = "delete"
	}
	p.note(fmt.Sprintf("%s: %d", name, status))
}

// headers returns HTTP headers of pairs of name and value.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

var events = headers("Accept", "text/event-stream")
