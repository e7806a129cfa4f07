package transport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// differs names recorded scenarios that must differ here, with the reason.
var differs = map[string]string{
	"negotiate (POST)/unknown hub":                    "404 of the host, not ours",
	"long polling/first poll while a first poll runs": "which of the three comes first is chance; see TestFirstPollsAtOnce",
}

// TestRecordedScenarios plays what a client said to an ASP.NET Core 11 node and
// compares the answers. Source: testdata/http/transport.json.
func TestRecordedScenarios(t *testing.T) {
	data, err := os.ReadFile("../../testdata/http/transport.json")
	if err != nil {
		t.Fatal(err)
	}
	var groups []struct {
		Group     string
		Scenarios []struct {
			Name   string
			Events [][]string // socket, direction, bytes as latin1, note
		}
	}
	if err := json.Unmarshal(data, &groups); err != nil {
		t.Fatal(err)
	}
	n, find := serveReplay(t)
	for _, g := range groups {
		for _, s := range g.Scenarios {
			t.Run(g.Group+"/"+s.Name, func(t *testing.T) {
				if why := differs[g.Group+"/"+s.Name]; why != "" {
					t.Skip(why)
				}
				p := &replay{t: t, n: n, find: find, sockets: map[string]*replaySocket{}, known: map[string]string{}}
				for i, e := range s.Events {
					note := ""
					if len(e) > 3 {
						note = e[3]
					}
					last := i == len(s.Events)-1
					p.event(e[0], e[1], latin1(e[2]), note, last)
				}
			})
		}
	}
}

// serveReplay serves the routes of the reference node. What find returns is the connection
// with a token, or nil.
func serveReplay(t *testing.T) (n *node, find func(token string) *Conn) {
	n = &node{t: t}
	route := func(change func(*Options), hub bool) *Endpoint {
		opts := defaults()
		opts.PollTimeout = 3 * time.Second // for one scenario; others have data in less
		opts.DisconnectTimeout = 4 * time.Second
		opts.AllowStatefulReconnects = true
		change(&opts)
		return NewEndpoint(opts, func(c *Conn) App {
			a := &echoApp{conn: c, over: make(chan struct{})}
			if hub {
				a.receive = (&tinyHub{conn: c}).receive
			}
			return a
		})
	}
	routes := map[string]*Endpoint{
		"/hub": route(func(*Options) {}, true),
		"/hub-longpolling": route(func(o *Options) {
			o.Transports, o.AllowStatefulReconnects = LongPolling, false
		}, true),
		"/hub-nowebsockets": route(func(o *Options) { o.Transports = ServerSentEvents | LongPolling }, true),
		"/hub-websockets":   route(func(o *Options) { o.Transports = WebSockets }, true),
		"/hub-cors":         route(func(o *Options) { o.AllowedOrigins = []string{"http://app.test"} }, true),
		"/echo":             route(func(*Options) {}, false),
	}
	for base, e := range routes {
		e.MountedAt(base + "/")
	}
	n.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first, _ := segment(r.URL.Path)
		base := "/" + strings.ToLower(first) // as in ASP.NET Core
		if e := routes[base]; e != nil {
			r.Pattern = base + "/"
			r.URL.Path = base + r.URL.Path[len(base):]
			if e.cors == nil { // ASP.NET Core lets every origin in where none is listed
				r.Header.Del("Origin")
			}
			e.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	}), func() []*Endpoint {
		var all []*Endpoint
		for _, e := range routes {
			all = append(all, e)
		}
		return all
	})
	return n, func(token string) *Conn {
		for _, e := range routes {
			e.mu.Lock()
			c := e.table[token]
			e.mu.Unlock()
			if c != nil {
				return c
			}
		}
		return nil
	}
}

// A tinyHub answers what the recorded clients ask a hub.
type tinyHub struct {
	conn *Conn
	buf  []byte
}

func (h *tinyHub) receive(p []byte, _ bool) bool {
	h.buf = append(h.buf, p...)
	for {
		record, rest, ok := bytes.Cut(h.buf, []byte{0x1e})
		if !ok {
			return true
		}
		var m struct {
			Protocol, Target, InvocationID string
			Arguments                      []any
		}
		_ = json.Unmarshal(record, &m)
		h.buf = rest
		switch {
		case m.Protocol != "":
			_ = h.conn.Send(text("{}\x1e"))
		case m.Target == "Add":
			_ = h.conn.Send(text(fmt.Sprintf(`{"type":3,"invocationId":%q,"result":%v}`+"\x1e", m.InvocationID, m.Arguments[0].(float64)+m.Arguments[1].(float64))))
		case m.Target == "Echo":
			_ = h.conn.Send(text(fmt.Sprintf(`{"type":3,"invocationId":%q,"result":%q}`+"\x1e", m.InvocationID, m.Arguments[0])))
		}
	}
}

// A replay plays one scenario.
type replay struct {
	t       *testing.T
	n       *node
	find    func(token string) *Conn
	sockets map[string]*replaySocket
	known   map[string]string // recorded token or id -> that of this run
	spoke   string            // the socket that spoke to the server last, if no answer came since
}

type replaySocket struct {
	*peer
	method   string
	token    string    // of the connection that it asks for
	stream   io.Reader // of a body without end
	upgraded bool
}

func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func (p *replay) event(name, direction, said, note string, last bool) {
	p.t.Helper()
	s := p.sockets[name]
	if s == nil {
		if direction != ">" {
			return
		}
		d := p.n.dial()
		d.t = p.t
		s = &replaySocket{peer: d}
		p.sockets[name] = s
	}
	quiet := p.spoke == ""
	if direction == ">" && !quiet && p.spoke != name {
		p.taken(p.sockets[p.spoke])
	}
	if p.spoke = ""; direction == ">" {
		p.spoke = name
	}
	switch {
	case direction == ">" && note == "FIN":
		_ = s.conn.(*net.TCPConn).CloseWrite()
	case direction == ">" && note == "RST":
		p.taken(s)
		_ = s.conn.(*net.TCPConn).SetLinger(0)
		_ = s.conn.Close()
		p.settles(s) // as the recorder did: the server sees it first
		p.spoke = ""
	case direction == ">":
		if !s.upgraded {
			s.method, _, _ = strings.Cut(said, " ")
			for theirs, ours := range p.known {
				said = strings.ReplaceAll(said, theirs, ours)
			}
			s.token = tokenIn(said)
		}
		if c := p.find(s.token); quiet && c != nil && c.Transport() == LongPolling {
			p.settles(s) // the poll before has been answered, and may not have ended
		}
		if _, err := io.WriteString(s.conn, said); err != nil && !last {
			p.t.Logf("write: %v", err) // the server may have ended already, as recorded
		}
	case note == "FIN" || note == "RST" || note == "ECONNRESET":
		_, _ = io.Copy(io.Discard, s.r)
		p.settles(s) // the recorder went on when the App had ended, too
	case s.upgraded:
		p.frames(s, said)
	case s.stream != nil && strings.Contains(said, "\x1e"):
		p.records(s, dechunk(said))
	case s.stream != nil:
		p.compare("stream", readStream(p.t, s.stream, len(dechunk(said))), dechunk(said))
	case strings.HasPrefix(said, "HTTP/1.1 101"):
		p.compare("answer", headOf(p.t, s), head(said))
		s.upgraded = true
	default:
		p.answer(s, said)
	}
}

func tokenIn(request string) string {
	line, _, _ := strings.Cut(request, "\r\n")
	_, token, _ := strings.Cut(line, "id=")
	return token[:len(token)-len(strings.TrimLeft(token, idCharacters))]
}

const idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// taken waits until the server serves what s has asked for without an answer so far.
func (p *replay) taken(s *replaySocket) {
	p.soon(func() bool {
		c := p.find(s.token)
		return c == nil || s.method != "GET" || linkOf(c) == linkServing
	})
}

// settles waits until the connection that s has asked for is served no more.
func (p *replay) settles(s *replaySocket) {
	p.soon(func() bool {
		c := p.find(s.token)
		return c == nil || s.method != "GET" || linkOf(c) == linkWaiting || linkOf(c) == linkLost
	})
}

// soon waits until something happens, if it does. Not all do that the recorder left the
// server time for: what a scenario must show is what it answers.
func (p *replay) soon(happens func() bool) {
	for end := time.Now().Add(5 * time.Second); !happens() && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
}

func (p *replay) compare(what, got, want string) {
	p.t.Helper()
	if got != want {
		p.t.Fatalf("%s\n got: %.400q\nwant: %.400q", what, got, want)
	}
}

// answer reads an answer and compares everything but dates and ids.
func (p *replay) answer(s *replaySocket, said string) {
	p.t.Helper()
	p.compare("answer", headOf(p.t, s), head(said))
	_, want, _ := strings.Cut(said, "\r\n\r\n")
	switch {
	case strings.Contains(said, "text/event-stream"):
		s.stream = s.r
		if strings.Contains(said, "chunked") {
			s.stream = httputil.NewChunkedReader(s.r)
			want = dechunk(want)
		}
	case strings.Contains(said, "chunked"):
		want = dechunk(want)
	}
	got := readStream(p.t, s.reader(), len(want))
	if strings.Contains(want, `"connectionId"`) {
		p.learn(want, got)
		got, want = randomID.ReplaceAllString(got, `:"id"`), randomID.ReplaceAllString(want, `:"id"`)
	}
	p.compare("body", got, want)
}

var randomID = regexp.MustCompile(`:"[A-Za-z0-9_-]{21}[AQgw]"`)

// learn pairs the ids of two negotiate answers.
func (p *replay) learn(want, got string) {
	var theirs, ours negotiated
	if json.Unmarshal([]byte(want), &theirs) != nil || json.Unmarshal([]byte(got), &ours) != nil {
		p.t.Fatalf("negotiate answer %q", got)
	}
	p.known[theirs.ID] = ours.ID
	if theirs.Token != "" {
		p.known[theirs.Token] = ours.Token
	}
}

// records reads events until as many bytes of records have come as in the
// recorded ones; how they are batched is chance.
func (p *replay) records(s *replaySocket, said string) {
	p.t.Helper()
	events := strings.NewReplacer("data: ", "", "\r\n", "")
	want, got := events.Replace(said), ""
	for len(got) < len(want) {
		var b [1]byte
		line := ""
		for !strings.HasSuffix(line, "\r\n\r\n") {
			if _, err := io.ReadFull(s.stream, b[:]); err != nil {
				p.t.Fatalf("read %q: %v", got+line, err)
			}
			line += string(b[:])
		}
		got += events.Replace(line)
	}
	p.compare("records", got, want)
}

// frames reads until as much payload has come as in the recorded frame.
func (p *replay) frames(s *replaySocket, said string) {
	p.t.Helper()
	want := &peer{t: p.t, r: bufio.NewReader(strings.NewReader(said))}
	first, payload := want.frame()
	var got strings.Builder
	for {
		f, part := s.frame()
		if f != first {
			p.t.Fatalf("frame %#x %q, want %#x %q", f, part, first, payload)
		}
		got.WriteString(part)
		if got.Len() >= len(payload) {
			break
		}
	}
	p.compare("frames", got.String(), payload)
}

func (s *replaySocket) reader() io.Reader {
	if s.stream != nil {
		return s.stream
	}
	return s.r
}

func readStream(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if n, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("read %q: %v", b[:n], err)
	}
	return string(b)
}

func dechunk(s string) string {
	var all []byte
	r := httputil.NewChunkedReader(strings.NewReader(s))
	for {
		var b [512]byte
		n, err := r.Read(b[:])
		all = append(all, b[:n]...)
		if err != nil {
			return string(all) // the recorded stream may go on
		}
	}
}

// headOf reads a head.
func headOf(t *testing.T, s *replaySocket) string {
	t.Helper()
	var b strings.Builder
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", b.String(), err)
		}
		b.WriteString(line)
		if line != "\r\n" {
			continue
		}
		if !strings.HasPrefix(b.String(), "HTTP/1.1 100 ") { // net/http says it whenever it is asked to
			return head(b.String())
		}
		b.Reset()
	}
}

// head returns status and headers in an order of their own, without what says
// nothing. Framing of a body by length or by chunks is the same.
func head(said string) string {
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(said)), nil)
	if err != nil {
		return err.Error()
	}
	for _, h := range []string{"Date", "Server", "Sec-Websocket-Accept", "X-Accel-Buffering"} {
		res.Header.Del(h)
	}
	if n := res.Header.Get("Content-Length"); n != "0" {
		res.Header.Del("Content-Length")
	}
	var b bytes.Buffer
	_ = res.Header.Write(&b)                                                     // sorted
	closes := res.Close && res.Header.Get("Content-Type") != "text/event-stream" // see takeStream
	return fmt.Sprintf("%d close=%v\n%s", res.StatusCode, closes, b.String())
}
