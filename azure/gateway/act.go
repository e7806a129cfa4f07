package gateway

import (
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// A sender is who asks for something: a connection of an app server, or, as the
// zero value, whoever calls the REST interface.
type sender struct {
	conn *serverConn
}

// id is the app server's; empty for REST.
func (by sender) id() string {
	if by.conn == nil {
		return ""
	}
	return by.conn.server
}

func (by sender) endpoint() string {
	if by.conn == nil {
		return ""
	}
	return by.conn.endpoint
}

// beforeWait is called before its goroutine waits.
func (by sender) beforeWait() {
	if by.conn != nil {
		by.conn.conn.BeforeWait()
		by.conn.conn.Uncork()
	}
}

// An outcome is what an ack says.
type outcome struct {
	status  int    // of the ack
	payload []byte // of the ack to a GroupMemberQuery, or about claims
}

// A reach says which gateways a message is for.
type reach uint8

const (
	reachHere      reach = iota // this one, which alone knows what it is about
	reachAll                    // every one
	reachElsewhere              // another one, unless it was done here
)

func reachOf(m wire.Message) reach {
	switch m.(type) {
	case *wire.UserData, *wire.MultiUserData, *wire.BroadcastData, *wire.GroupBroadcastData, *wire.MultiGroupBroadcastData,
		*wire.UserJoinGroup, *wire.UserLeaveGroup, *wire.UserJoinGroupWithAck, *wire.UserLeaveGroupWithAck,
		*wire.CloseConnectionsWithAck, *wire.CloseUserConnectionsWithAck, *wire.CloseGroupConnectionsWithAck,
		*wire.GroupMemberQuery:
		return reachAll
	case *wire.MultiConnectionData, *wire.CloseConnection, *wire.CloseConnectionWithAck,
		*wire.JoinGroup, *wire.LeaveGroup, *wire.JoinGroupWithAck, *wire.LeaveGroupWithAck,
		*wire.CheckUserInGroupWithAck, *wire.CheckGroupExistenceWithAck, *wire.CheckConnectionExistenceWithAck, *wire.CheckUserExistenceWithAck,
		*wire.RefreshAuth, *wire.GetConnectionClaims, *wire.ClientInvocation:
		return reachElsewhere
	}
	return reachHere
}

// act does what a message asks, here and at the other gateways of the fleet. then,
// if it is not nil, gets the outcome once it is known, perhaps later and on
// another goroutine. No lock may be held.
func (h *hub) act(by sender, m wire.Message, then func(outcome)) {
	o := h.do(m, by.conn)
	f := h.g.fleet
	where := reachOf(m)
	switch {
	case f == nil, where == reachHere, where == reachElsewhere && (o.status == wire.AckOK || o.status == wire.AckForbidden), by.conn == nil && h.g.opts.LocalREST:
		if then != nil {
			then(o)
		}
	case then == nil:
		f.tellAll(h, by, h.rest(m))
	default:
		f.ask(h, by, m, o, then)
	}
}

// rest is what of a message is for other gateways.
func (h *hub) rest(m wire.Message) wire.Message {
	to, ok := m.(*wire.MultiConnectionData)
	if !ok {
		return m
	}
	rest := *to
	rest.ConnectionList = nil
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, id := range to.ConnectionList {
		if h.clients[id] == nil {
			rest.ConnectionList = append(rest.ConnectionList, id)
		}
	}
	return &rest
}

// do does what a message asks for the clients of this gateway, and waits for
// nobody. s is nil if it is not an app server of this gateway that asks.
func (h *hub) do(m wire.Message, s *serverConn) outcome {
	switch m := m.(type) {
	case *wire.MultiConnectionData:
		return outcome{status: found(h.sendToClients(m.ConnectionList, m.Payloads))}
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
	case *wire.CloseConnection:
		return outcome{status: found(h.closeByServer(s, m.ConnectionID, m.ErrorMessage))}
	case *wire.CloseConnectionWithAck:
		return outcome{status: found(h.closeByServer(s, m.ConnectionID, wire.Text(m.Reason)))}
	case *wire.CloseConnectionsWithAck:
		return outcome{status: h.closeMany(h.allClients(), m.Reason, m.ExcludedList)}
	case *wire.CloseUserConnectionsWithAck:
		return outcome{status: h.closeMany(h.clientsOf(m.UserID), m.Reason, m.ExcludedList)}
	case *wire.CloseGroupConnectionsWithAck:
		return outcome{status: h.closeMany(h.membersOf(m.GroupName), m.Reason, m.ExcludedList)}
	case *wire.RefreshAuth:
		return h.refresh(m)
	case *wire.GetConnectionClaims:
		return h.claimsOf(m.ConnectionToken)
	default:
		return h.doGroups(m)
	}
	return outcome{}
}

// doGroups is do for groups, and for what is asked.
func (h *hub) doGroups(m wire.Message) (o outcome) {
	switch m := m.(type) {
	case *wire.JoinGroup:
		o.status = h.join(m.ConnectionID, m.GroupName)
	case *wire.LeaveGroup:
		o.status = h.leave(m.ConnectionID, m.GroupName)
	case *wire.JoinGroupWithAck:
		o.status = h.join(m.ConnectionID, m.GroupName)
	case *wire.LeaveGroupWithAck:
		o.status = h.leave(m.ConnectionID, m.GroupName)
	case *wire.UserJoinGroup:
		o.status = h.userJoin(m.UserID, m.GroupName, m.TTL)
	case *wire.UserLeaveGroup:
		o.status = h.userLeave(m.UserID, m.GroupName)
	case *wire.UserJoinGroupWithAck:
		o.status = h.userJoin(m.UserID, m.GroupName, m.TTL)
	case *wire.UserLeaveGroupWithAck:
		o.status = h.userLeave(m.UserID, m.GroupName)
	case *wire.CheckUserInGroupWithAck:
		o.status = found(h.isUserInGroup(m.UserID, m.GroupName))
	case *wire.CheckGroupExistenceWithAck:
		o.status = found(h.hasGroup(m.GroupName))
	case *wire.CheckConnectionExistenceWithAck:
		o.status = found(h.hasClient(m.ConnectionID))
	case *wire.CheckUserExistenceWithAck:
		o.status = found(h.hasUser(m.UserID))
	case *wire.GroupMemberQuery:
		o = outcome{status: wire.AckOK, payload: wire.AppendGroupMembers(nil, h.membersPage(m))}
	}
	return o
}
