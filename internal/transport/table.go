package transport

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
)

// newID returns 16 random bytes as text that needs no escaping in a URL.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Why an endpoint takes no connection; clients see the texts.
var (
	errFull           = errors.New("The server has as many connections as it takes.")
	errNegotiatedFull = errors.New("Too many connections were negotiated and not opened.")
	errRefuses        = errors.New("")
)

// newConn is newNegotiated for callers that need no reason.
func (e *Endpoint) newConn(version int, stateful bool, user any) (*Conn, bool) {
	c, err := e.newNegotiated(version, stateful, user)
	return c, err == nil
}

// newNegotiated puts a new connection into the table that waits to be connected.
func (e *Endpoint) newNegotiated(version int, stateful bool, user any) (*Conn, error) {
	c := e.makeConn(version, stateful, user)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.fullLocked():
		return nil, errFull
	case len(e.table)-e.served.all >= e.opts.MaximumNegotiated:
		return nil, errNegotiatedFull
	}
	return c, e.addLocked(c)
}

// newServed puts a new connection into the table that is connected at once.
func (e *Endpoint) newServed(user any) (*Conn, error) {
	c := e.makeConn(0, false, user)
	if err := e.addServed(c); err != nil {
		return nil, err
	}
	return c, nil
}

func (e *Endpoint) addServed(c *Conn) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fullLocked() {
		return errFull
	}
	if err := e.addLocked(c); err != nil {
		return err
	}
	e.countLocked(c, WebSockets)
	return nil
}

// mayAdmit reports whether admit would count c, or has done so.
func (e *Endpoint) mayAdmit(c *Conn) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mayAdmitLocked(c)
}

func (e *Endpoint) mayAdmitLocked(c *Conn) error {
	if c.counted == 0 && e.table[c.Token()] == c && e.fullLocked() { // one that is gone already is refused elsewhere
		return errFull
	}
	return nil
}

// admit counts c among those that have been connected, by t, once. The request
// that connects it must have been let through: a refused one takes no place.
func (e *Endpoint) admit(c *Conn, t Transport) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.mayAdmitLocked(c); err != nil || c.counted != 0 || e.table[c.Token()] != c {
		return err
	}
	e.countLocked(c, t)
	return nil
}

// forgetRefused forgets a connection that was made for a request that was
// refused then: nothing else knows it.
func (c *Conn) forgetRefused() {
	c.mu.Lock()
	refused := c.app == appNone
	c.mu.Unlock()
	if refused {
		c.Abort(ErrLost)
	}
}

func (e *Endpoint) fullLocked() bool {
	return e.opts.MaximumConnections > 0 && e.served.all >= e.opts.MaximumConnections
}

func (e *Endpoint) makeConn(version int, stateful bool, user any) *Conn {
	c := &Conn{endpoint: e, stateful: stateful, user: user}
	c.out.behindAt = FreeBytes
	c.seenLocked()
	id := newID()
	token := id
	if version > 0 {
		token = newID()
	}
	c.setNames(id, token)
	c.shard = &e.flushers.shards[int(e.nextOne.Add(1))%len(e.flushers.shards)]
	return c
}

func (e *Endpoint) addLocked(c *Conn) error {
	if e.refuses.Load() {
		return errRefuses
	}
	e.putLocked(c)
	return nil
}

func (e *Endpoint) putLocked(c *Conn) {
	e.table[c.Token()] = c
	e.wheel.add(c)
	if !e.ticking {
		e.ticking = true
		e.quit = make(chan struct{})
		go e.sweep(e.quit)
	}
}

func (e *Endpoint) lookup(token string) *Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.table[token]
}

// Lookup returns the connection with a token that a client has from negotiate, or nil.
func (e *Endpoint) Lookup(token string) *Conn { return e.lookup(token) }

// remove forgets c.
func (e *Endpoint) remove(c *Conn) {
	defer c.Opened()
	if e.opts.Cluster != nil {
		defer e.disown(c)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.table[c.Token()] != c {
		return
	}
	delete(e.table, c.Token())
	e.wheel.remove(c)
	if c.counted != 0 {
		e.served.add(c.counted, -1)
	}
	if len(e.table) > 0 {
		return
	}
	e.ticking = false
	close(e.quit)
	for i := range e.flushers.shards {
		e.flushers.shards[i].parked.end()
	}
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
