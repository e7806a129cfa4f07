package server

import (
	"iter"
	"slices"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// ConnectionInfo is what a hub knows of one of its connections on this node. Its
// fields do not change; its methods look at the connection anew, and are safe for
// concurrent use.
type ConnectionInfo struct {
	ID         string    // its connection id, by which Clients.Client addresses it
	UserID     string    // empty for anonymous users; see Options.UserID
	Transport  Transport // exactly one
	Protocol   string    // "json", "messagepack", or the Name of another codec
	Since      time.Time // when its handshake was accepted
	RemoteAddr string    // of the request that opened it, as http.Request has it: behind a proxy the proxy's

	// QueuedBytes is how much waits to be written to the client. What is kept for
	// a stateful reconnect until the client acknowledges it is not counted.
	QueuedBytes int

	conn *connection
}

// Connections walks the connections of this node for which OnConnected has been,
// or is about to be, called, in no particular order. It is for looking at a node,
// as on an administrator's page: it costs about a microsecond for each connection,
// beside 8 bytes each for the whole walk, and holds no lock while the loop's body
// runs. A connection that begins or ends meanwhile may be among them or not.
//
//	for c := range hub.Connections() {
//		fmt.Println(c.ID, c.UserID, c.Since, c.Groups())
//	}
func (h *Hub) Connections() iter.Seq[ConnectionInfo] {
	return func(yield func(ConnectionInfo) bool) {
		for _, e := range h.allEndpoints() {
			for app := range e.Apps() {
				if info, open := app.(*hubApp).info(); open && !yield(info) {
					return
				}
			}
		}
	}
}

// Connection returns the connection of this node with an id. It reports false
// where Connections does not have it. It looks through all connections.
func (h *Hub) Connection(id string) (ConnectionInfo, bool) {
	for _, e := range h.allEndpoints() {
		if app, ok := e.App(id).(*hubApp); ok {
			return app.info()
		}
	}
	return ConnectionInfo{}, false
}

func (h *Hub) allEndpoints() []*transport.Endpoint {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clip(h.endpoints) // it only ever grows
}

// info reports false before the handshake, and once the end has begun.
func (a *hubApp) info() (info ConnectionInfo, isOpen bool) {
	c := (*connection)(a)
	if c.drops() || c.state.Load() != open {
		return ConnectionInfo{}, false
	}
	return ConnectionInfo{
		ID: c.ID(), UserID: c.userID, Transport: c.Transport(), Protocol: c.codec.Name(),
		Since: time.Unix(0, c.opened), RemoteAddr: c.bytes.RemoteAddr(), QueuedBytes: c.bytes.Queued(), conn: c,
	}, true
}

// Groups are the names of the groups that the connection is in now, sorted; none
// once it has ended, or where Options.LifetimeManager is no GroupLister.
func (i ConnectionInfo) Groups() []string {
	if i.conn == nil {
		return nil
	}
	groups, err := i.conn.hub.manager.groupsOf(i.ID)
	if err != nil {
		i.conn.logFailure("LifetimeManager.GroupsOf", err)
	}
	slices.Sort(groups)
	return groups
}

// Close closes the connection as Call.Close does: the client is told reason, if
// that is not empty, and comes back by itself if allowReconnect is true and it is
// one that reconnects. It does not wait. A connection that has ended is left
// alone.
func (i ConnectionInfo) Close(reason string, allowReconnect bool) {
	if i.conn != nil {
		i.conn.closeByHub(closedByHub(reason, allowReconnect))
	}
}

// CloseReceiver is for LifetimeManagers: it closes c as Call.Close does, without
// waiting. What is no connection of a hub of this process is left alone.
func CloseReceiver(c Receiver, reason string, allowReconnect bool) {
	if c, ok := c.(*connection); ok {
		c.closeByHub(closedByHub(reason, allowReconnect))
	}
}

// ConnectionCounts are how many connections a hub, or a ConnectionHandler, has on
// this node.
type ConnectionCounts struct {
	WebSockets, ServerSentEvents, LongPolling int // that have been connected, by their transport

	// Negotiated ones have not been connected yet. They end by themselves after
	// EndpointOptions.DisconnectTimeout.
	Negotiated int
}

// Connected is how many there are of all transports.
func (c ConnectionCounts) Connected() int { return c.WebSockets + c.ServerSentEvents + c.LongPolling }

func (c *ConnectionCounts) add(n transport.Counts) {
	c.WebSockets += n.WebSockets
	c.ServerSentEvents += n.ServerSentEvents
	c.LongPolling += n.LongPolling
	c.Negotiated += n.Negotiated
}

// Counts returns how many connections there are now, also those before their
// handshake. It costs the same however many those are, so a metric may ask for it.
func (h *Hub) Counts() (counts ConnectionCounts) {
	for _, e := range h.allEndpoints() {
		counts.add(e.Counts())
	}
	return counts
}

// Counts returns how many connections there are now; see Hub.Counts.
func (h *ConnectionHandler) Counts() (counts ConnectionCounts) {
	counts.add(h.endpoint.Counts())
	return counts
}
