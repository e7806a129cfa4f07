package fleet

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// mostGiven is how many links other nodes may have to this one.
const mostGiven = mostPeers

// mostHello bounds what an unknown peer can make a node read, in bytes of text.
const mostHello = 8 << 10

// Answers of the handler to a peer that is not a node of the fleet, or comes too late.
const (
	notForYou = "Only the nodes of a fleet come here."
	fullOrOff = "This node takes no requests of other nodes now."
)

// Handler serves the other nodes at this one's URL. It refuses unsigned requests, and
// serves only one kind: the request that opens a link.
func (f *Fleet) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, err := f.hello(r)
		if err != nil {
			http.Error(w, notForYou, http.StatusForbidden)
			return
		}
		if err := f.give(w, m); err != nil {
			http.Error(w, fullOrOff, http.StatusServiceUnavailable)
		}
	})
}

// hello opens the message of a node that wants a link. It must be signed for this
// node, be recent, and not have been used before.
func (f *Fleet) hello(r *http.Request) (*message, error) {
	text := r.Header.Get(helloHeader)
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), upgradeName) || r.ProtoMajor != 1 || text == "" || len(text) > mostHello {
		return nil, errMessage
	}
	b, err := encoding.DecodeString(text)
	if err != nil {
		f.refuse(f.NodeChannel(), err)
		return nil, err
	}
	m, err := f.open(f.NodeChannel(), b)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	fresh := m.kind == kindHello && f.isNewLocked(m.id) && len(f.seen[0]) < mostSeen
	if fresh {
		f.seen[0][m.id] = struct{}{}
	}
	f.mu.Unlock()
	if !fresh {
		f.refuse(f.NodeChannel(), errMessage)
		return nil, errMessage
	}
	return m, nil
}

// give turns the request with hello m into a link. After an error nothing was
// answered.
func (f *Fleet) give(w http.ResponseWriter, m *message) error {
	welcome, err := f.seal(f.nodeChannel(m.from), &message{kind: kindWelcome, id: m.id})
	if err != nil {
		return err
	}
	f.mu.Lock()
	if f.closed || f.given >= mostGiven {
		f.mu.Unlock()
		return transport.ErrAway
	}
	f.given++
	started := make(chan *bufio.ReadWriter, 1)
	var conn net.Conn
	f.running.Go(func() { // Close waits for it
		defer func() {
			f.mu.Lock()
			f.given--
			f.mu.Unlock()
		}()
		if rw := <-started; rw != nil {
			f.newLink(m.id, m.from, conn, givenTime).run(rw.Reader, func() {})
		}
	})
	f.mu.Unlock()
	defer close(started)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		f.log.Error("link requested by another node failed", "node", m.from, "error", err)
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(dialTime)) // has no effect on a closed one
	_, err = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + upgradeName + "\r\n" +
		welcomeHeader + ": " + encoding.EncodeToString(welcome) + "\r\n\r\n")
	if err = errors.Join(err, rw.Flush()); err != nil {
		_ = conn.Close() // nobody is left to be answered
		return nil
	}
	_ = conn.SetDeadline(time.Time{})
	started <- rw
	return nil
}
