package gateway

import (
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// dispatch does what an app server asks for. It waits for nobody.
func (s *serverConn) dispatch(m wire.Message) {
	h := s.hub
	switch m := m.(type) {
	case *wire.ConnectionData:
		s.clientData(m)
	case *wire.CloseConnection:
		h.closeByServer(s, m.ConnectionID, m.ErrorMessage)
	case *wire.Ping:
		s.ping(m)

	case *wire.MultiConnectionData:
		h.sendToClients(m.ConnectionList, m.Payloads)
	case *wire.UserData:
		h.sendToUsers([]string{m.UserID}, m.Payloads)
	case *wire.MultiUserData:
		h.sendToUsers(m.UserList, m.Payloads)
	case *wire.BroadcastData:
		h.sendToAll(m.ExcludedList, m.Payloads)
	case *wire.GroupBroadcastData:
		h.sendToGroup(m.GroupName, m.ExcludedList, m.ExcludedUserList, m.Payloads)
	case *wire.MultiGroupBroadcastData:
		for _, group := range m.GroupList {
			h.sendToGroup(group, nil, nil, m.Payloads)
		}

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

// dispatchAsked does what is answered by an ack, and the same without one.
func (s *serverConn) dispatchAsked(m wire.Message) {
	h := s.hub
	switch m := m.(type) {
	case *wire.JoinGroup:
		h.join(m.ConnectionID, m.GroupName)
	case *wire.LeaveGroup:
		h.leave(m.ConnectionID, m.GroupName)
	case *wire.JoinGroupWithAck:
		s.ack(m.AckID, h.join(m.ConnectionID, m.GroupName))
	case *wire.LeaveGroupWithAck:
		s.ack(m.AckID, h.leave(m.ConnectionID, m.GroupName))
	case *wire.UserJoinGroup:
		h.userJoin(m.UserID, m.GroupName, m.TTL)
	case *wire.UserLeaveGroup:
		h.userLeave(m.UserID, m.GroupName)
	case *wire.UserJoinGroupWithAck:
		s.ack(m.AckID, h.userJoin(m.UserID, m.GroupName, m.TTL))
	case *wire.UserLeaveGroupWithAck:
		s.ack(m.AckID, h.userLeave(m.UserID, m.GroupName))

	case *wire.CheckUserInGroupWithAck:
		s.ack(m.AckID, found(h.isUserInGroup(m.UserID, m.GroupName)))
	case *wire.CheckGroupExistenceWithAck:
		s.ack(m.AckID, found(h.hasGroup(m.GroupName)))
	case *wire.CheckConnectionExistenceWithAck:
		s.ack(m.AckID, found(h.hasClient(m.ConnectionID)))
	case *wire.CheckUserExistenceWithAck:
		s.ack(m.AckID, found(h.hasUser(m.UserID)))
	case *wire.GroupMemberQuery:
		s.send(&wire.Ack{AckID: m.AckID, Status: wire.AckOK, Payload: wire.AppendGroupMembers(nil, h.membersPage(m))})

	case *wire.CloseConnectionWithAck:
		s.ack(m.AckID, found(h.closeByServer(s, m.ConnectionID, wire.Text(m.Reason))))
	case *wire.CloseConnectionsWithAck:
		s.ack(m.AckID, h.closeMany(h.allClients(), m.Reason, m.ExcludedList))
	case *wire.CloseUserConnectionsWithAck:
		s.ack(m.AckID, h.closeMany(h.clientsOf(m.UserID), m.Reason, m.ExcludedList))
	case *wire.CloseGroupConnectionsWithAck:
		s.ack(m.AckID, h.closeMany(h.membersOf(m.GroupName), m.Reason, m.ExcludedList))

	case *wire.RefreshAuth:
		s.refreshAuth(m)
	case *wire.GetConnectionClaims:
		s.tellClaims(m)
	}
}

func (s *serverConn) ack(id, status int) { s.send(&wire.Ack{AckID: id, Status: status}) }

func found(yes bool) int {
	if yes {
		return wire.AckOK
	}
	return wire.AckNotFound
}
