package cuts

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// direction says which way bytes go.
type direction int

const (
	up   direction = iota // to the server
	down                  // to the client
)

func (d direction) String() string { return [...]string{"up", "down"}[d] }

// A play is what the network does to one dialogue.
type play struct {
	// direction and after say where the first WebSocket breaks: once so many
	// bytes of it have passed, HTTP included. Zero means never.
	direction direction
	after     int

	// What has happened, for the network's lock.
	begun  bool
	cut    bool
	heads  [2]int // bytes of HTTP at the beginning of the WebSocket
	passed [2]int // bytes of the WebSocket

	traces []*trace // of each WebSocket, in the order of their beginnings
}

// A network is a TCP proxy in front of a node. It knows the dialogue to which a
// connection belongs by ?play=NAME.
type network struct {
	listener net.Listener
	node     string // host:port
	running  sync.WaitGroup

	mu    sync.Mutex
	plays map[string]*play
	open  map[net.Conn]bool
}

// newNetwork starts a network in front of the node with that URL. It ends with
// the test.
func newNetwork(t *testing.T, node string) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: l, node: strings.TrimPrefix(node, "http://"), plays: map[string]*play{}, open: map[net.Conn]bool{}}
	n.running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			n.running.Go(func() { n.join(client.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // the loop above ends with the error
		n.mu.Lock()
		for c := range n.open {
			_ = c.Close() // so do those that copy
		}
		n.open = nil
		n.mu.Unlock()
		n.running.Wait()
	})
	return n
}

// prepare says what happens to a dialogue, and returns its URL.
func (n *network) prepare(name string, p *play) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plays[name] = p
	return "http://" + n.listener.Addr().String() + "/hub?play=" + name
}

// outcome returns a copy of what has happened to a dialogue.
func (n *network) outcome(name string) play {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := *n.plays[name]
	traces := make([]*trace, len(p.traces))
	for i, tr := range p.traces {
		c := slices.Clone(*tr)
		traces[i] = &c
	}
	p.traces = traces
	return p
}

// keep remembers a connection until the returned function is called. It
// reports false if the network has ended.
func (n *network) keep(c net.Conn) (forget func(), ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		_ = c.Close() // it has not been used
		return nil, false
	}
	n.open[c] = true
	return func() {
		_ = c.Close() // it may be closed already
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.open, c)
	}, true
}

// join copies between a client and the node until both have ended.
func (n *network) join(client *net.TCPConn) {
	forget, ok := n.keep(client)
	if !ok {
		return
	}
	defer forget()
	conn, err := net.Dial("tcp", n.node)
	if err != nil {
		return // the client sees the end of its connection
	}
	server := conn.(*net.TCPConn)
	forgetServer, ok := n.keep(server)
	if !ok {
		return
	}
	defer forgetServer()
	begin, p, tr := n.beginning(client)
	up := &pipe{network: n, play: p, trace: tr, direction: up, from: client, to: server}
	down := &pipe{network: n, play: p, trace: tr, direction: down, from: server, to: client}
	var both sync.WaitGroup
	both.Go(func() {
		if up.pass(begin) {
			up.copy()
		}
	})
	both.Go(down.copy)
	both.Wait()
}

// beginning reads until the end of the line of the first request, and returns
// what it has read. If that is a WebSocket of a dialogue, it returns its trace,
// and if it is the first one, the dialogue, too.
func (n *network) beginning(client net.Conn) (read []byte, p *play, tr *trace) {
	buf := make([]byte, 4096)
	for !bytes.Contains(read, []byte("\r\n")) {
		k, err := client.Read(buf)
		read = append(read, buf[:k]...)
		if err != nil {
			return read, nil, nil
		}
	}
	words := strings.Fields(string(read))
	if len(words) < 2 || words[0] != "GET" {
		return read, nil, nil
	}
	target, err := url.Parse(words[1])
	if err != nil {
		return read, nil, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p = n.plays[target.Query().Get("play")]; p == nil {
		return read, nil, nil
	}
	tr = &trace{}
	p.traces = append(p.traces, tr)
	if p.begun {
		return read, nil, tr
	}
	p.begun = true
	return read, p, tr
}

// A pipe is one direction of a connection.
type pipe struct {
	network   *network
	play      *play  // nil if the connection does not break
	trace     *trace // nil if it is no WebSocket of a dialogue
	direction direction
	from, to  *net.TCPConn
	seen      []byte // up to the end of the HTTP part
	inside    bool   // after it
}

// copy copies until one end is closed, and closes the other.
func (p *pipe) copy() {
	buf := make([]byte, 16<<10)
	for {
		k, err := p.from.Read(buf)
		if k > 0 && !p.pass(buf[:k]) {
			return
		}
		if err == io.EOF {
			_ = p.to.CloseWrite() // it may be closed already
			return
		}
		if err != nil {
			reset(p.to)
			return
		}
	}
}

// pass writes data, or the part of it that may still pass. It reports whether
// the pipe goes on.
func (p *pipe) pass(data []byte) bool {
	part, cut := p.network.count(p, data)
	_, err := p.to.Write(part)
	switch {
	case cut:
		// A reset could take back what the receiver has not read yet. It gets
		// all of it, and then the end; the sender gets a reset.
		_ = p.to.CloseWrite()
		reset(p.from)
		return false
	case err != nil:
		reset(p.from)
		return false
	}
	return true
}

// count counts data, and returns how much of it passes and whether the network
// breaks after it.
func (n *network) count(p *pipe, data []byte) (part []byte, cut bool) {
	if p.trace == nil {
		return data, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { *p.trace = append(*p.trace, chunk{direction: p.direction, data: bytes.Clone(part)}) }()
	if p.play == nil {
		return data, false
	}
	if p.play.after > 0 && p.play.direction == p.direction && !p.play.cut {
		if left := p.play.after - p.play.passed[p.direction]; left <= len(data) {
			data, cut, p.play.cut = data[:left], true, true
		}
	}
	p.play.passed[p.direction] += len(data)
	if !p.inside {
		p.seen = append(p.seen, data...)
		if i := bytes.Index(p.seen, []byte("\r\n\r\n")); i >= 0 {
			p.play.heads[p.direction] = i + 4
			p.inside, p.seen = true, nil
		}
	}
	return data, cut
}

// reset closes a connection so that its peer gets an error.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // the connection may be closed already
	_ = c.Close()
}
