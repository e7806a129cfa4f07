package azure

import (
	"errors"
	"strings"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// ofService receives the results of invocations that another server made.
const ofService = "service"

// SetResult implements server.ResultRouter: a client of this server has answered
// this server, or another one, which the service finds.
func (s *service) SetResult(c server.Receiver, m *protocol.Completion) (bool, error) {
	p, wrong := s.results.Claim(m.InvocationID, c.ID())
	switch {
	case wrong:
		return true, server.WithErrorType("InvalidOperationException", errors.New(members.WrongConnection(c.ID(), m.InvocationID)))
	case p == nil:
		return false, nil
	}
	name := c.Codec().Name()
	answer := &wire.ClientCompletion{InvocationID: p.ID, ConnectionID: c.ID(), CallerServerID: s.serverID, Protocol: &name, Payload: []byte{}}
	if p.ReturnTo == "" {
		s.tell(c.ID(), answer) // the service forgets the invocation
		p.Answer(members.ReadResult(c.Codec(), m))
		return true, nil
	}
	payload, err := c.Codec().Append(nil, m)
	if err != nil {
		s.log.Error("result of a client cannot be passed on", "connection", c.ID(), "error", err)
		return true, nil
	}
	answer.Payload = payload
	s.tell(c.ID(), answer)
	return true, nil
}

// tell sends m through the connection of a client, or another one. It does not block.
func (s *service) tell(id string, m wire.Message) {
	key := s.keyOf(id)
	if key.via != nil && key.via.usable() {
		key.via.control(m)
		return
	}
	for _, p := range s.online() {
		if c := p.choose(id); c != nil {
			c.control(m)
		}
	}
}

// route registers an invocation that another server made: a client of this one will
// answer it.
func (s *service) route(m *wire.ClientInvocation) {
	r := s.receiverOf(m.ConnectionID)
	if r == nil {
		return
	}
	p := &members.Pending{ID: m.InvocationID, ConnectionID: m.ConnectionID, ReturnTo: ofService}
	oldest, err := s.results.Add(p, func(own, others int) error { return server.CheckClientResult(r, own+others) })
	if err == nil && oldest == nil {
		return
	}
	// The service gives up by itself, later.
	id := m.InvocationID
	if err == nil {
		err, id = server.ErrTooManyClientResults, oldest.ID
	}
	s.log.Warn("client result of another server cannot be waited for", "connection", m.ConnectionID, "error", err)
	s.tell(m.ConnectionID, &wire.ErrorCompletion{InvocationID: id, ConnectionID: m.ConnectionID, CallerServerID: s.serverID, Error: "The client has too many calls to answer."})
}

// completed handles the result of a client of another server.
func (s *service) completed(m *wire.ClientCompletion) {
	p := s.results.ClaimAway(m.InvocationID)
	if p == nil {
		return
	}
	p.Answer(s.readResult(wire.Text(m.Protocol), m.Payload))
}

const badResult = "The result of the client cannot be read."

func (s *service) readResult(name string, payload []byte) members.Result {
	for _, codec := range s.codecs {
		if !strings.EqualFold(codec.Name(), name) {
			continue
		}
		m, _, err := codec.Next(payload)
		completion, ok := m.(*protocol.Completion)
		if err != nil || !ok {
			break
		}
		return members.ReadResult(codec, completion)
	}
	s.log.Error("result of a client of another server cannot be read", "protocol", name)
	return members.Result{Failed: true, Error: badResult}
}

// failed handles the service's message that there will be no result.
func (s *service) failed(m *wire.ErrorCompletion) {
	p := s.results.ClaimAway(m.InvocationID)
	if p == nil {
		if p, _ = s.results.Claim(m.InvocationID, m.ConnectionID); p == nil || p.ReturnTo != "" {
			return
		}
	}
	s.mu.Lock()
	if asked, ok := s.instances[p.ID]; ok {
		asked.refused = true
		s.instances[p.ID] = asked
	}
	s.mu.Unlock()
	p.Answer(members.Result{Failed: true, Error: m.Error})
}

// mapInstance remembers where the client of an invocation is.
func (s *service) mapInstance(m *wire.ServiceMapping) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked, ok := s.instances[m.InvocationID]; ok {
		asked.instance = m.InstanceID
		s.instances[m.InvocationID] = asked
	}
}

// A mapped invocation waits for a client, of which the service may have said to
// which of its instances it is connected, or that there will be no result.
type mapped struct {
	connection, instance string
	refused              bool
}

// instanceGone fails the invocations that wait for clients of a dead instance.
func (s *service) instanceGone(instance string) {
	if instance == "" {
		return
	}
	s.mu.Lock()
	gone := map[string]string{}
	for id, m := range s.instances {
		if m.instance == instance {
			gone[id] = m.connection
		}
	}
	s.mu.Unlock()
	for id, connection := range gone {
		s.failed(&wire.ErrorCompletion{InvocationID: id, ConnectionID: connection, Error: "Connection '" + connection + "' is disconnected."})
	}
}
