package wire

// JoinGroup adds a client to a group.
type JoinGroup struct {
	ConnectionID string
	GroupName    string
	TracingID    *uint64
}

// LeaveGroup removes a client from a group.
type LeaveGroup struct {
	ConnectionID string
	GroupName    *string
	TracingID    *uint64
}

// JoinGroupWithAck is JoinGroup that is answered by Ack.
type JoinGroupWithAck struct {
	ConnectionID string
	GroupName    string
	AckID        int
	TracingID    *uint64
}

// LeaveGroupWithAck is LeaveGroup that is answered by Ack.
type LeaveGroupWithAck struct {
	ConnectionID string
	GroupName    *string // nil: all groups
	AckID        int
	TracingID    *uint64
}

// UserJoinGroup adds the clients of a user to a group, those to come too.
type UserJoinGroup struct {
	UserID    string
	GroupName string
	TracingID *uint64
	TTL       *int // seconds
}

// UserLeaveGroup ends UserJoinGroup.
type UserLeaveGroup struct {
	UserID    string
	GroupName *string // nil: all groups
	TracingID *uint64
}

// UserJoinGroupWithAck is UserJoinGroup that is answered by Ack.
type UserJoinGroupWithAck struct {
	UserID    string
	GroupName string
	AckID     int
	TracingID *uint64
	TTL       *int // seconds
}

// UserLeaveGroupWithAck is UserLeaveGroup that is answered by Ack.
type UserLeaveGroupWithAck struct {
	UserID    string
	GroupName *string // nil: all groups
	AckID     int
	TracingID *uint64
}

// CheckUserInGroupWithAck asks whether a user is in a group.
type CheckUserInGroupWithAck struct {
	UserID    string
	GroupName string
	AckID     int
	TracingID *uint64
}

// CheckGroupExistenceWithAck asks whether a group has a client.
type CheckGroupExistenceWithAck struct {
	GroupName string
	AckID     int
	TracingID *uint64
}

// CheckConnectionExistenceWithAck asks whether a client is there.
type CheckConnectionExistenceWithAck struct {
	ConnectionID string
	AckID        int
	TracingID    *uint64
}

// CheckUserExistenceWithAck asks whether a user has a client.
type CheckUserExistenceWithAck struct {
	UserID    string
	AckID     int
	TracingID *uint64
}

// GroupMemberQuery asks for a page of the members of a group. The payload of its
// Ack is a GroupMembers.
type GroupMemberQuery struct {
	TracingID         *uint64
	GroupName         string
	AckID             int
	Top               *int // members, in this page and all after it
	ContinuationToken *string
	MaxPageSize       *int
}

func (*JoinGroup) Type() int                       { return TypeJoinGroup }
func (*LeaveGroup) Type() int                      { return TypeLeaveGroup }
func (*JoinGroupWithAck) Type() int                { return TypeJoinGroupWithAck }
func (*LeaveGroupWithAck) Type() int               { return TypeLeaveGroupWithAck }
func (*UserJoinGroup) Type() int                   { return TypeUserJoinGroup }
func (*UserLeaveGroup) Type() int                  { return TypeUserLeaveGroup }
func (*UserJoinGroupWithAck) Type() int            { return TypeUserJoinGroupWithAck }
func (*UserLeaveGroupWithAck) Type() int           { return TypeUserLeaveGroupWithAck }
func (*CheckUserInGroupWithAck) Type() int         { return TypeCheckUserInGroupWithAck }
func (*CheckGroupExistenceWithAck) Type() int      { return TypeCheckGroupExistenceWithAck }
func (*CheckConnectionExistenceWithAck) Type() int { return TypeCheckConnectionExistenceWithAck }
func (*CheckUserExistenceWithAck) Type() int       { return TypeCheckUserExistenceWithAck }
func (*GroupMemberQuery) Type() int                { return TypeGroupMemberQuery }

func (m *JoinGroup) items(c *coder) {
	c.begin(m, 4)
	c.text("connectionId", &m.ConnectionID)
	c.text("groupName", &m.GroupName)
	if c.has(4) {
		c.extensions(extensions{tracingID: &m.TracingID})
	}
}

func (m *LeaveGroup) items(c *coder) {
	c.begin(m, 4)
	c.text("connectionId", &m.ConnectionID)
	c.optional("groupName", &m.GroupName)
	if c.has(4) {
		c.extensions(extensions{tracingID: &m.TracingID})
	}
}

func (m *JoinGroupWithAck) items(c *coder) {
	c.begin(m, 5)
	c.text("connectionId", &m.ConnectionID)
	c.text("groupName", &m.GroupName)
	c.ack(5, &m.AckID, extensions{tracingID: &m.TracingID})
}

func (m *LeaveGroupWithAck) items(c *coder) {
	c.begin(m, 5)
	c.text("connectionId", &m.ConnectionID)
	c.optional("groupName", &m.GroupName)
	c.ack(5, &m.AckID, extensions{tracingID: &m.TracingID})
}

func (m *UserJoinGroup) items(c *coder) {
	c.begin(m, 4)
	c.text("userId", &m.UserID)
	c.text("groupName", &m.GroupName)
	if c.has(4) {
		c.extensions(extensions{tracingID: &m.TracingID, ttl: &m.TTL})
	}
}

func (m *UserLeaveGroup) items(c *coder) {
	c.begin(m, 4)
	c.text("userId", &m.UserID)
	c.optional("groupName", &m.GroupName)
	if c.has(4) {
		c.extensions(extensions{tracingID: &m.TracingID})
	}
}

func (m *UserJoinGroupWithAck) items(c *coder) {
	c.begin(m, 5)
	c.text("userId", &m.UserID)
	c.text("groupName", &m.GroupName)
	c.ack(0, &m.AckID, extensions{tracingID: &m.TracingID, ttl: &m.TTL})
}

func (m *UserLeaveGroupWithAck) items(c *coder) {
	c.begin(m, 5)
	c.text("userId", &m.UserID)
	c.optional("groupName", &m.GroupName)
	c.ack(0, &m.AckID, extensions{tracingID: &m.TracingID})
}

func (m *CheckUserInGroupWithAck) items(c *coder) {
	c.begin(m, 5)
	c.text("userId", &m.UserID)
	c.text("groupName", &m.GroupName)
	c.ack(5, &m.AckID, extensions{tracingID: &m.TracingID})
}

func (m *CheckGroupExistenceWithAck) items(c *coder) {
	c.begin(m, 4)
	c.text("groupName", &m.GroupName)
	c.ack(0, &m.AckID, extensions{tracingID: &m.TracingID})
}

func (m *CheckConnectionExistenceWithAck) items(c *coder) {
	c.begin(m, 4)
	c.text("connectionId", &m.ConnectionID)
	c.ack(0, &m.AckID, extensions{tracingID: &m.TracingID})
}

func (m *CheckUserExistenceWithAck) items(c *coder) {
	c.begin(m, 4)
	c.text("userId", &m.UserID)
	c.ack(0, &m.AckID, extensions{tracingID: &m.TracingID})
}

// ack is the end of most messages that are answered by Ack. Extensions that are
// optional are read from arrays of least items.
func (c *coder) ack(least int, ackID *int, e extensions) {
	c.int("ackId", ackID)
	if c.has(least) {
		c.extensions(e)
	}
}

func (m *GroupMemberQuery) items(c *coder) {
	c.begin(m, 7)
	c.extensions(extensions{tracingID: &m.TracingID})
	c.text("groupName", &m.GroupName)
	c.int("ackId", &m.AckID)
	c.optionalInt("top", &m.Top)
	c.optional("continuationToken", &m.ContinuationToken)
	if c.has(7) {
		c.optionalInt("maxPageSize", &m.MaxPageSize)
	}
}
