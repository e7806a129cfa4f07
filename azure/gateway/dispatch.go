package gateway

import (
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// dispatch does what an app server asks for. It waits for nobody, but for space
// on the way to other gateways.
func (s *serverConn) dispatch(m wire.Message) {
	h := s.hub
	switch m := m.(type) {
	case *wire.ConnectionData:
		s.clientData(m)
	case *wire.Ping:
		s.ping(m)

	case *wire.CloseConnection, *wire.MultiConnectionData, *wire.UserData, *wire.MultiUserData,
		*wire.BroadcastData, *wire.GroupBroadcastData, *wire.MultiGroupBroadcastData,
		*wire.JoinGroup, *wire.LeaveGroup, *wire.UserJoinGroup, *wire.UserLeaveGroup:
		h.act(sender{s}, m, nil)

	case *wire.ClientInvocation:
		h.invoke(s, m)
	case *wire.ClientCompletion:
		h.completed(s, m.InvocationID, m)
	case *wire.ErrorCompletion:
		h.completed(s, m.InvocationID, m)

	case *wire.AccessKeyRequest:
		kind, text := "NotSupported", "This service has access keys only."
		s.send(&wire.AccessKeyResponse{ErrorType: &kind, ErrorMessage: &text})
	default:
		s.dispatchAsked(m)
	}
}

// dispatchAsked does what is answered by an ack.
func (s *serverConn) dispatchAsked(m wire.Message) {
	switch m := m.(type) {
	case *wire.JoinGroupWithAck:
		s.ask(m, m.AckID)
	case *wire.LeaveGroupWithAck:
		s.ask(m, m.AckID)
	case *wire.UserJoinGroupWithAck:
		s.ask(m, m.AckID)
	case *wire.UserLeaveGroupWithAck:
		s.ask(m, m.AckID)
	case *wire.CheckUserInGroupWithAck:
		s.ask(m, m.AckID)
	case *wire.CheckGroupExistenceWithAck:
		s.ask(m, m.AckID)
	case *wire.CheckConnectionExistenceWithAck:
		s.ask(m, m.AckID)
	case *wire.CheckUserExistenceWithAck:
		s.ask(m, m.AckID)
	case *wire.GroupMemberQuery:
		s.ask(m, m.AckID)
	case *wire.CloseConnectionWithAck:
		s.ask(m, m.AckID)
	case *wire.CloseConnectionsWithAck:
		s.ask(m, m.AckID)
	case *wire.CloseUserConnectionsWithAck:
		s.ask(m, m.AckID)
	case *wire.CloseGroupConnectionsWithAck:
		s.ask(m, m.AckID)
	case *wire.RefreshAuth:
		s.ask(m, m.AckID)
	case *wire.GetConnectionClaims:
		s.ask(m, m.AckID)
	}
}

// ask does what a message asks, and sends the outcome as its ack.
func (s *serverConn) ask(m wire.Message, id int) {
	s.hub.act(sender{s}, m, func(o outcome) {
		s.send(&wire.Ack{AckID: id, Status: o.status, Payload: o.payload})
	})
}

func found(yes bool) int {
	if yes {
		return wire.AckOK
	}
	return wire.AckNotFound
}
