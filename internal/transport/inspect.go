package transport

import "iter"

// served counts the connections of an endpoint that have been connected.
type served struct{ all, webSockets, serverSentEvents, longPolling int }

func (s *served) add(t Transport, n int) {
	s.all += n
	switch t {
	case WebSockets:
		s.webSockets += n
	case ServerSentEvents:
		s.serverSentEvents += n
	case LongPolling:
		s.longPolling += n
	}
}

// countLocked counts c among those that have been connected.
func (e *Endpoint) countLocked(c *Conn, by Transport) {
	c.counted = by
	e.served.add(by, 1)
}

// Counts are how many connections an endpoint has: those that are still to be
// connected, and those that have been by each transport.
type Counts struct{ Negotiated, WebSockets, ServerSentEvents, LongPolling int }

// Counts returns how many connections there are now. It costs the same however
// many those are.
func (e *Endpoint) Counts() Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.served
	return Counts{len(e.table) - s.all, s.webSockets, s.serverSentEvents, s.longPolling}
}

// Apps walks the Apps that have been started and have not finished, of the
// connections that were there when it began. No lock is held meanwhile.
func (e *Endpoint) Apps() iter.Seq[App] {
	return func(yield func(App) bool) {
		for _, c := range e.connections(nil) {
			if app := c.liveApp(); app != nil && !yield(app) {
				return
			}
		}
	}
}

// App returns the App of the connection with a public id, if Apps has it. It
// looks through all connections.
func (e *Endpoint) App(id string) App {
	c := e.byID(id)
	if c == nil {
		return nil
	}
	return c.liveApp()
}

func (e *Endpoint) byID(id string) *Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.table {
		if c.ID() == id {
			return c
		}
	}
	return nil
}

func (c *Conn) liveApp() App {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.app.live() {
		return nil
	}
	return c.handler
}

// Queued is how many bytes wait to be written to the client.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.queued
}

// RemoteAddr is that of the first connect request, without the cost of Request.
func (c *Conn) RemoteAddr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.request.remoteAddr()
}

// Queued is how many bytes wait to be written to all clients.
func (e *Endpoint) Queued() (n int64) {
	for _, c := range e.connections(nil) {
		n += int64(c.Queued())
	}
	return n
}
