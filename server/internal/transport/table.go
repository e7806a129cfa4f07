package transport

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// tick is how often the sweeper looks at every connection.
const tick = time.Second

// newID returns 16 random bytes as text that needs no escaping in a URL.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// newConn puts a new connection into the table. It reports false when the
// endpoint takes no more.
func (e *Endpoint) newConn(version int, stateful bool) (*Conn, bool) {
	c := &Conn{endpoint: e, id: newID(), stateful: stateful, lastSeen: time.Now(), behindAt: FreeBytes}
	c.token = c.id
	if version > 0 {
		c.token = newID()
	}
	c.shard = &e.shards[int(e.nextOne.Add(1))%len(e.shards)]
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing.Load() || (e.opts.MaximumConnections > 0 && len(e.table) >= e.opts.MaximumConnections) {
		return nil, false
	}
	e.table[c.token] = c
	if !e.ticking {
		e.ticking = true
		e.quit = make(chan struct{})
		go e.sweep(e.quit)
	}
	return c, true
}

func (e *Endpoint) lookup(token string) *Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.table[token]
}

// remove forgets c.
func (e *Endpoint) remove(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.table[c.token] != c {
		return
	}
	delete(e.table, c.token)
	if len(e.table) > 0 {
		return
	}
	e.ticking = false
	close(e.quit)
	if e.empty != nil {
		close(e.empty)
	}
}

// connections appends all connections to dst.
func (e *Endpoint) connections(dst []*Conn) []*Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.table {
		dst = append(dst, c)
	}
	return dst
}

// sweep looks at every connection once a second, until the table is empty.
func (e *Endpoint) sweep(quit <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var all []*Conn
	for {
		select {
		case <-quit:
			return
		case now := <-ticker.C:
			all = e.connections(all[:0])
			for i, c := range all {
				c.tick(now)
				all[i] = nil
			}
		}
	}
}
