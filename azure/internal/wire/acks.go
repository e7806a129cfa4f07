package wire

import "time"

// Values of Ack.Status. Servers take others for AckForbidden.
const (
	AckOK            = 1
	AckNotFound      = 2
	AckTimeout       = 3
	AckInternalError = 4
	AckForbidden     = 5
)

// Ack answers a message that has an AckID.
type Ack struct {
	AckID   int
	Status  int // AckOK, ...
	Message string
	Payload []byte // of GroupMemberQuery, RefreshAuth and GetConnectionClaims; nil: none
}

// CloseConnectionWithAck closes a client.
type CloseConnectionWithAck struct {
	ConnectionID string
	Reason       *string
	AckID        int
	TracingID    *uint64
}

// CloseConnectionsWithAck closes all clients of the hub but some.
type CloseConnectionsWithAck struct {
	Reason       *string
	AckID        int
	ExcludedList []string // connection ids
	TracingID    *uint64
}

// CloseUserConnectionsWithAck closes the clients of a user but some.
type CloseUserConnectionsWithAck struct {
	UserID       string
	Reason       *string
	AckID        int
	ExcludedList []string // connection ids
	TracingID    *uint64
}

// CloseGroupConnectionsWithAck closes the clients of a group but some.
type CloseGroupConnectionsWithAck struct {
	GroupName    string
	Reason       *string
	AckID        int
	ExcludedList []string // connection ids
	TracingID    *uint64
}

// RefreshAuth gives a client new claims. The payload of its Ack is all of its
// claims (AppendClaims).
type RefreshAuth struct {
	ConnectionToken string
	Claims          []Claim
	ExpireTime      time.Time // NoExpiry: never
	AckID           int
}

// GetConnectionClaims asks for a client's claims. The payload of its Ack is them
// (AppendClaims).
type GetConnectionClaims struct {
	ConnectionToken string
	AckID           int
}

// UpdateConnectionClaims tells a server of a client's new claims.
type UpdateConnectionClaims struct {
	ConnectionID string
	Claims       []Claim
}

func (*Ack) Type() int                          { return TypeAck }
func (*CloseConnectionWithAck) Type() int       { return TypeCloseConnectionWithAck }
func (*CloseConnectionsWithAck) Type() int      { return TypeCloseConnectionsWithAck }
func (*CloseUserConnectionsWithAck) Type() int  { return TypeCloseUserConnectionsWithAck }
func (*CloseGroupConnectionsWithAck) Type() int { return TypeCloseGroupConnectionsWithAck }
func (*RefreshAuth) Type() int                  { return TypeRefreshAuth }
func (*GetConnectionClaims) Type() int          { return TypeGetConnectionClaims }
func (*UpdateConnectionClaims) Type() int       { return TypeUpdateConnectionClaims }

func (m *Ack) items(c *coder) {
	c.begin(m, 6)
	c.int("ackId", &m.AckID)
	c.int("status", &m.Status)
	c.textOrNil("message", &m.Message)
	if c.has(5) {
		c.extensions(extensions{})
	}
	if c.has(6) {
		c.optionalBytes("payload", &m.Payload)
	}
}

func (m *CloseConnectionWithAck) items(c *coder) {
	c.begin(m, 5)
	c.text("connectionId", &m.ConnectionID)
	c.optional("reason", &m.Reason)
	c.ack(5, &m.AckID, extensions{tracingID: &m.TracingID})
}

func (m *CloseConnectionsWithAck) items(c *coder) {
	c.begin(m, 5)
	c.closing(5, &m.Reason, &m.AckID, &m.ExcludedList, &m.TracingID)
}

func (m *CloseUserConnectionsWithAck) items(c *coder) {
	c.begin(m, 6)
	c.text("userId", &m.UserID)
	c.closing(6, &m.Reason, &m.AckID, &m.ExcludedList, &m.TracingID)
}

func (m *CloseGroupConnectionsWithAck) items(c *coder) {
	c.begin(m, 6)
	c.text("groupName", &m.GroupName)
	c.closing(6, &m.Reason, &m.AckID, &m.ExcludedList, &m.TracingID)
}

func (c *coder) closing(least int, reason **string, ackID *int, excluded *[]string, tracingID **uint64) {
	c.optional("reason", reason)
	c.int("ackId", ackID)
	c.list("excludedList", excluded)
	if c.has(least) {
		c.extensions(extensions{tracingID: tracingID})
	}
}

func (m *RefreshAuth) items(c *coder) {
	c.begin(m, 6)
	c.text("connectionToken", &m.ConnectionToken)
	c.claims("claims", &m.Claims)
	c.time("expireTime", &m.ExpireTime)
	c.ack(0, &m.AckID, extensions{})
}

func (m *GetConnectionClaims) items(c *coder) {
	c.begin(m, 4)
	c.text("connectionToken", &m.ConnectionToken)
	c.ack(0, &m.AckID, extensions{})
}

func (m *UpdateConnectionClaims) items(c *coder) {
	c.begin(m, 4)
	c.text("connectionId", &m.ConnectionID)
	c.claims("claims", &m.Claims)
	c.extensions(extensions{})
}
