package wire

import (
	"strings"
	"time"
)

// A Message is one message of the service protocol: a pointer to one of the
// structs of this package. A message that Next returned is the caller's, but its
// payloads alias the bytes that it was read from.
type Message interface {
	// Type returns the message's number on the wire.
	Type() int
	items(*coder)
}

// The numbers of the messages.
const (
	TypeHandshakeRequest                = 1
	TypeHandshakeResponse               = 2
	TypePing                            = 3
	TypeOpenConnection                  = 4
	TypeCloseConnection                 = 5
	TypeConnectionData                  = 6
	TypeMultiConnectionData             = 7
	TypeUserData                        = 8
	TypeMultiUserData                   = 9
	TypeBroadcastData                   = 10
	TypeJoinGroup                       = 11
	TypeLeaveGroup                      = 12
	TypeGroupBroadcastData              = 13
	TypeMultiGroupBroadcastData         = 14
	TypeServiceError                    = 15
	TypeUserJoinGroup                   = 16
	TypeUserLeaveGroup                  = 17
	TypeJoinGroupWithAck                = 18
	TypeLeaveGroupWithAck               = 19
	TypeAck                             = 20
	TypeCheckUserInGroupWithAck         = 21
	TypeServiceEvent                    = 22
	TypeCheckGroupExistenceWithAck      = 23
	TypeCheckConnectionExistenceWithAck = 24
	TypeCheckUserExistenceWithAck       = 25
	TypeUserJoinGroupWithAck            = 26
	TypeUserLeaveGroupWithAck           = 27
	TypeAccessKeyRequest                = 28
	TypeAccessKeyResponse               = 29
	TypeCloseConnectionWithAck          = 30
	TypeCloseConnectionsWithAck         = 31
	TypeCloseUserConnectionsWithAck     = 32
	TypeCloseGroupConnectionsWithAck    = 33
	TypeClientInvocation                = 34
	TypeClientCompletion                = 35
	TypeErrorCompletion                 = 36
	TypeServiceMapping                  = 37
	TypeConnectionReconnect             = 38
	TypeConnectionFlowControl           = 39
	TypeGroupMemberQuery                = 40
	TypeRefreshAuth                     = 41
	TypeGetConnectionClaims             = 42
	TypeUpdateConnectionClaims          = 43
)

// New returns an empty message of a number; nil if the number is unknown.
func New(number int) Message {
	if number < 1 || number >= len(makers) {
		return nil
	}
	return makers[number]()
}

var makers = [...]func() Message{
	TypeHandshakeRequest:                func() Message { return new(HandshakeRequest) },
	TypeHandshakeResponse:               func() Message { return new(HandshakeResponse) },
	TypePing:                            func() Message { return new(Ping) },
	TypeOpenConnection:                  func() Message { return new(OpenConnection) },
	TypeCloseConnection:                 func() Message { return new(CloseConnection) },
	TypeConnectionData:                  func() Message { return new(ConnectionData) },
	TypeMultiConnectionData:             func() Message { return new(MultiConnectionData) },
	TypeUserData:                        func() Message { return new(UserData) },
	TypeMultiUserData:                   func() Message { return new(MultiUserData) },
	TypeBroadcastData:                   func() Message { return new(BroadcastData) },
	TypeJoinGroup:                       func() Message { return new(JoinGroup) },
	TypeLeaveGroup:                      func() Message { return new(LeaveGroup) },
	TypeGroupBroadcastData:              func() Message { return new(GroupBroadcastData) },
	TypeMultiGroupBroadcastData:         func() Message { return new(MultiGroupBroadcastData) },
	TypeServiceError:                    func() Message { return new(ServiceError) },
	TypeUserJoinGroup:                   func() Message { return new(UserJoinGroup) },
	TypeUserLeaveGroup:                  func() Message { return new(UserLeaveGroup) },
	TypeJoinGroupWithAck:                func() Message { return new(JoinGroupWithAck) },
	TypeLeaveGroupWithAck:               func() Message { return new(LeaveGroupWithAck) },
	TypeAck:                             func() Message { return new(Ack) },
	TypeCheckUserInGroupWithAck:         func() Message { return new(CheckUserInGroupWithAck) },
	TypeServiceEvent:                    func() Message { return new(ServiceEvent) },
	TypeCheckGroupExistenceWithAck:      func() Message { return new(CheckGroupExistenceWithAck) },
	TypeCheckConnectionExistenceWithAck: func() Message { return new(CheckConnectionExistenceWithAck) },
	TypeCheckUserExistenceWithAck:       func() Message { return new(CheckUserExistenceWithAck) },
	TypeUserJoinGroupWithAck:            func() Message { return new(UserJoinGroupWithAck) },
	TypeUserLeaveGroupWithAck:           func() Message { return new(UserLeaveGroupWithAck) },
	TypeAccessKeyRequest:                func() Message { return new(AccessKeyRequest) },
	TypeAccessKeyResponse:               func() Message { return new(AccessKeyResponse) },
	TypeCloseConnectionWithAck:          func() Message { return new(CloseConnectionWithAck) },
	TypeCloseConnectionsWithAck:         func() Message { return new(CloseConnectionsWithAck) },
	TypeCloseUserConnectionsWithAck:     func() Message { return new(CloseUserConnectionsWithAck) },
	TypeCloseGroupConnectionsWithAck:    func() Message { return new(CloseGroupConnectionsWithAck) },
	TypeClientInvocation:                func() Message { return new(ClientInvocation) },
	TypeClientCompletion:                func() Message { return new(ClientCompletion) },
	TypeErrorCompletion:                 func() Message { return new(ErrorCompletion) },
	TypeServiceMapping:                  func() Message { return new(ServiceMapping) },
	TypeConnectionReconnect:             func() Message { return new(ConnectionReconnect) },
	TypeConnectionFlowControl:           func() Message { return new(ConnectionFlowControl) },
	TypeGroupMemberQuery:                func() Message { return new(GroupMemberQuery) },
	TypeRefreshAuth:                     func() Message { return new(RefreshAuth) },
	TypeGetConnectionClaims:             func() Message { return new(GetConnectionClaims) },
	TypeUpdateConnectionClaims:          func() Message { return new(UpdateConnectionClaims) },
}

// A Claim says something of a user. A user may have several of one type.
type Claim struct{ Type, Value string }

// A Header is a header of a client's request, in the order of the wire. No two
// of a message have the same name, whatever the case.
type Header struct {
	Name   string
	Values []string
}

// A Payload is a hub message, framed as its protocol frames it.
type Payload struct {
	Protocol string // "json", "messagepack", ...
	Bytes    []byte
}

// PayloadOf returns the payload of a protocol, whose name is compared without
// case: the service sends back whatever case the client wrote.
func PayloadOf(payloads []Payload, protocol string) (b []byte, ok bool) {
	for _, p := range payloads {
		if strings.EqualFold(p.Protocol, protocol) {
			return p.Bytes, true
		}
	}
	return nil, false
}

// Text returns *p; "" for nil.
func Text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// NoExpiry is RefreshAuth.ExpireTime of an authentication that does not end:
// the last moment that .NET knows.
var NoExpiry = time.Date(9999, time.December, 31, 23, 59, 59, 999999900, time.UTC)
