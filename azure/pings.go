package azure

import (
	"strconv"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// Keys and values of pings. Source: testdata/azure.
const (
	pingStatus      = "status"
	pingTarget      = "target"
	pingOffline     = "offline"
	pingShutdown    = "shutdown"
	pingEcho        = "echo"
	pingClientCount = "clientcount"
	pingServerCount = "servercount"
	pingCapacity    = "capacity"
	finack          = "finack"
	active          = "1"
)

// keepAlive answers received messages with a ping, if the last one was some time ago:
// this server never pings first.
func (c *conn) keepAlive() {
	now := time.Now()
	if now.Sub(c.pinged) <= keepAlive {
		return
	}
	c.pinged = now
	c.control(&wire.Ping{Messages: []string{
		"#clientInHub", strconv.Itoa(c.pool.s.count()),
		"#client", strconv.Itoa(int(c.clients.Load())),
	}})
}

// ping handles the pairs of a ping; those that are unknown, or have no value, are
// ignored.
func (c *conn) ping(m *wire.Ping) {
	for i := 0; i+1 < len(m.Messages); i += 2 {
		value := m.Messages[i+1]
		switch m.Messages[i] {
		case pingEcho:
			c.control(m)
			return
		case pingTarget:
			c.pool.onDemand(value)
		case pingOffline:
			c.pool.s.offline(c, value)
		case pingShutdown:
			if strings.EqualFold(value, finack) {
				select {
				case c.finack <- struct{}{}:
				default:
				}
			}
		case pingStatus:
			c.pool.status(value == active, m.Messages)
			return
		}
	}
}

// status stores what the service reports about itself.
func (p *pool) status(hasClients bool, pairs []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.load.hasClients = hasClients
	for i := 0; i+1 < len(pairs); i += 2 {
		n, err := strconv.Atoi(pairs[i+1])
		if err != nil || n < 0 {
			continue
		}
		switch pairs[i] {
		case pingClientCount:
			p.load.clients = n
		case pingServerCount:
			p.load.servers = n
		case pingCapacity:
			p.load.capacity = n
		}
	}
}

// flowControl moves a client to another service connection, or takes this one out
// of use. Source: testdata/azure.
func (c *conn) flowControl(m *wire.ConnectionFlowControl) {
	s := c.pool.s
	if m.ConnectionType == wire.FlowServer {
		if m.ConnectionID != c.id || m.Operation != wire.FlowOffline {
			s.log.Error("unexpected flow control", "connection", c.id, "of", m.ConnectionID, "operation", m.Operation)
			return
		}
		c.silence()
		return
	}
	cl := s.client(m.ConnectionID)
	if cl == nil {
		return
	}
	switch m.Operation {
	case wire.FlowPause:
		cl.pause()
	case wire.FlowResume:
		cl.resume(c)
	default:
		s.log.Error("unexpected flow control", "connection", m.ConnectionID, "operation", m.Operation)
	}
}
