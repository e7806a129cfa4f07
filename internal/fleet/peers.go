package fleet

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A peer is another node whose URL is known. It is guarded by Fleet.mu.
type peer struct {
	url     string
	link    *link // nil: none yet, or it has ended
	dialing bool
	retry   time.Time // after a failed attempt, the earliest time of the next one
	warned  bool      // a failure was logged; until it succeeds
}

// Bounds and times of what a node knows about others.
const (
	mostPeers  = 1_000            // nodes; those of more are reached over the Bus
	mostOwners = 50_000           // connections whose node is known: recently used, and as many used before
	dialTime   = 5 * time.Second  // for a link to be made; meanwhile requests go over the Bus
	retryTime  = 10 * time.Second // after an attempt to make one that has failed
)

// MostURL is how long the URL of a node may be, in bytes.
const MostURL = 2_000

// Headers of the request that makes a link. Each has one sealed message.
const (
	upgradeName   = "hubwire-node"
	helloHeader   = "Hubwire-Hello"
	welcomeHeader = "Hubwire-Welcome"
)

// newTransport returns the transport that dials links: HTTP/1.1, without a proxy even
// if the environment sets one.
func newTransport(dial func(ctx context.Context, network, addr string) (net.Conn, error), trust *tls.Config) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		DialContext: dial, Protocols: &http1, TLSClientConfig: trust.Clone(), TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: dialTime,
		DisableCompression: true, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	}
}

// Learn remembers that node has a connection, and its signed URL. A link to it is
// opened if there is none, and used once it is there.
func (f *Fleet) Learn(connection, node, url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(url) > MostURL {
		return
	}
	p := f.peers[node]
	if p == nil {
		if len(f.peers) >= mostPeers {
			f.sweepLocked()
		}
		if len(f.peers) >= mostPeers {
			return
		}
		p = &peer{}
		f.peers[node] = p
	}
	if p.url != url {
		if p.link != nil {
			p.link.end(errReplaced)
		}
		*p = peer{url: url, dialing: p.dialing}
	}
	f.rememberLocked(connection, node)
	f.dialLocked(node, p)
}

// sweepLocked forgets the nodes without a link: most of them have stopped.
func (f *Fleet) sweepLocked() {
	for node, p := range f.peers {
		if p.link == nil && !p.dialing {
			delete(f.peers, node)
		}
	}
}

// rememberLocked keeps the node of a connection, and forgets the least recently used
// ones.
func (f *Fleet) rememberLocked(connection, node string) {
	if len(f.owners[0]) >= mostOwners {
		f.owners[1], f.owners[0] = f.owners[0], map[string]string{}
	}
	f.owners[0][connection] = node
}

// forget removes a connection that has ended.
func (f *Fleet) forget(connection string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.owners[0], connection)
	delete(f.owners[1], connection)
}

// linkToLocked returns a link to the node that has a connection, if there is one.
// The caller must call leaveLocked.
func (f *Fleet) linkToLocked(connection string) *link {
	node, ok := f.owners[0][connection]
	if !ok {
		if node, ok = f.owners[1][connection]; !ok {
			return nil
		}
		delete(f.owners[1], connection)
		f.rememberLocked(connection, node)
	}
	p := f.peers[node]
	if p == nil {
		return nil
	}
	if p.link == nil {
		f.dialLocked(node, p) // the next request has it
		return nil
	}
	p.link.uses++
	return p.link
}

func (f *Fleet) leaveLocked(l *link) {
	if l.uses--; l.uses == 0 {
		l.idle = time.Now()
	}
}

// endIfIdle ends a link that this node has dialed and does not use any more. New
// requests do not find it from then on.
func (f *Fleet) endIfIdle(l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.peers[l.node]; p != nil && p.link == l && l.uses == 0 && time.Since(l.idle) >= idleTime {
		p.link = nil
		l.end(errIdle)
	}
}

// dialLocked starts to dial a link to a node in the background, if it is time to.
func (f *Fleet) dialLocked(node string, p *peer) {
	if f.closed || p.link != nil || p.dialing || time.Now().Before(p.retry) {
		return
	}
	p.dialing = true
	url := p.url
	f.running.Go(func() {
		l, in, err := f.dial(node, url)
		f.mu.Lock()
		p.dialing = false
		switch {
		case err != nil:
			p.retry = time.Now().Add(retryTime)
			if !p.warned && f.ctx.Err() == nil {
				p.warned = true
				f.log.Warn("node cannot be reached at its URL: requests go over the bus", "node", node, "url", url, "error", err)
			}
		case p.url != url:
			l.end(errReplaced)
		default:
			p.link, p.warned = l, false
		}
		f.mu.Unlock()
		if l != nil {
			l.run(in, func() { f.lose(p, l) })
		}
	})
}

// lose removes a link that has ended.
func (f *Fleet) lose(p *peer, l *link) {
	cause := context.Cause(l.ctx)
	f.mu.Lock()
	if p.link == l {
		p.link = nil
		if errors.Is(cause, errSilent) {
			p.retry = time.Now().Add(retryTime)
		}
	}
	f.mu.Unlock()
	f.log.Debug("link to a node has ended", "node", l.node, "cause", cause)
}

// dial opens a link to node at url. Both sides introduce themselves: each signs a
// message with the name of the other, and a number that was never used before.
func (f *Fleet) dial(node, url string) (*link, *bufio.Reader, error) {
	ctx, cancel := context.WithTimeout(f.ctx, dialTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	id := newExchangeID()
	hello, err := f.seal(f.nodeChannel(node), &message{kind: kindHello, id: id})
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", upgradeName)
	r.Header.Set(helloHeader, encoding.EncodeToString(hello))
	answer, err := f.web.RoundTrip(r) // follows no redirects
	if err != nil {
		return nil, nil, err
	}
	conn, ok := answer.Body.(io.ReadWriteCloser)
	if answer.StatusCode != http.StatusSwitchingProtocols || !ok {
		_ = answer.Body.Close() // nothing of it was read
		return nil, nil, fmt.Errorf("the answer is %s", answer.Status)
	}
	if err := f.welcomed(node, id, answer.Header.Get(welcomeHeader)); err != nil {
		_ = conn.Close() // the first error says more
		return nil, nil, err
	}
	return f.newLink(id, node, conn, silentTime), bufio.NewReaderSize(conn, linkBuffer), nil
}

// linkBuffer is how many bytes of a link are read at once.
const linkBuffer = 16 << 10

// welcomed returns nil if the answer is node's to hello id.
func (f *Fleet) welcomed(node string, id exchangeID, text string) error {
	b, err := encoding.DecodeString(text)
	if err != nil {
		return err
	}
	m, err := f.open(f.NodeChannel(), b)
	switch {
	case err != nil:
		return err
	case m.kind != kindWelcome, m.id != id, m.from != node:
		return errMessage
	}
	return nil
}
