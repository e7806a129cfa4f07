package wire

// MultiConnectionData is a hub message for some clients.
type MultiConnectionData struct {
	ConnectionList []string
	Payloads       []Payload
	TracingID      *uint64
	Filter         *string
}

// UserData is a hub message for the clients of a user.
type UserData struct {
	UserID    string
	Payloads  []Payload
	TracingID *uint64
	Filter    *string
}

// MultiUserData is a hub message for the clients of some users.
type MultiUserData struct {
	UserList  []string
	Payloads  []Payload
	TracingID *uint64
	Filter    *string
}

// BroadcastData is a hub message for all clients of the hub but some.
type BroadcastData struct {
	ExcludedList []string // connection ids
	Payloads     []Payload
	TracingID    *uint64
	Filter       *string
}

// GroupBroadcastData is a hub message for the clients of a group but some.
type GroupBroadcastData struct {
	GroupName        string
	ExcludedList     []string // connection ids
	Payloads         []Payload
	TracingID        *uint64
	Filter           *string
	ExcludedUserList []string
	CallerUserID     *string
}

// MultiGroupBroadcastData is a hub message for the clients of some groups.
type MultiGroupBroadcastData struct {
	GroupList []string
	Payloads  []Payload
	TracingID *uint64
	Filter    *string
}

// ClientInvocation asks a client for a result. From the service it tells the
// server of that client that a completion will come.
type ClientInvocation struct {
	InvocationID   string
	ConnectionID   string
	CallerServerID string
	Payloads       []Payload
	TracingID      *uint64
}

// ClientCompletion is the result that a client gave.
type ClientCompletion struct {
	InvocationID   string
	ConnectionID   string
	CallerServerID string // of the sender, whoever asked
	Protocol       *string
	Payload        []byte // a hub message of Protocol; empty: the server has the result already
	TracingID      *uint64
}

// ErrorCompletion says why there is no result.
type ErrorCompletion struct {
	InvocationID   string
	ConnectionID   string
	CallerServerID string
	Error          string
	TracingID      *uint64
}

// ServiceMapping says which instance of the service has the client that a
// server asked.
type ServiceMapping struct {
	InvocationID string
	ConnectionID string
	InstanceID   string
}

func (*MultiConnectionData) Type() int     { return TypeMultiConnectionData }
func (*UserData) Type() int                { return TypeUserData }
func (*MultiUserData) Type() int           { return TypeMultiUserData }
func (*BroadcastData) Type() int           { return TypeBroadcastData }
func (*GroupBroadcastData) Type() int      { return TypeGroupBroadcastData }
func (*MultiGroupBroadcastData) Type() int { return TypeMultiGroupBroadcastData }
func (*ClientInvocation) Type() int        { return TypeClientInvocation }
func (*ClientCompletion) Type() int        { return TypeClientCompletion }
func (*ErrorCompletion) Type() int         { return TypeErrorCompletion }
func (*ServiceMapping) Type() int          { return TypeServiceMapping }

func (m *MultiConnectionData) items(c *coder) {
	c.begin(m, 4)
	c.list("connectionList", &m.ConnectionList)
	c.send(&m.Payloads, &m.TracingID, &m.Filter)
}

func (m *UserData) items(c *coder) {
	c.begin(m, 4)
	c.text("userId", &m.UserID)
	c.send(&m.Payloads, &m.TracingID, &m.Filter)
}

func (m *MultiUserData) items(c *coder) {
	c.begin(m, 4)
	c.list("userList", &m.UserList)
	c.send(&m.Payloads, &m.TracingID, &m.Filter)
}

func (m *BroadcastData) items(c *coder) {
	c.begin(m, 4)
	c.list("excludedList", &m.ExcludedList)
	c.send(&m.Payloads, &m.TracingID, &m.Filter)
}

func (m *MultiGroupBroadcastData) items(c *coder) {
	c.begin(m, 4)
	c.list("groupList", &m.GroupList)
	c.send(&m.Payloads, &m.TracingID, &m.Filter)
}

func (m *GroupBroadcastData) items(c *coder) {
	c.begin(m, 7)
	c.text("groupName", &m.GroupName)
	c.list("excludedList", &m.ExcludedList)
	c.payloads("payloads", &m.Payloads)
	if c.has(5) {
		c.extensions(extensions{tracingID: &m.TracingID, filter: &m.Filter})
	}
	if c.has(7) {
		c.list("excludedUserList", &m.ExcludedUserList)
		c.optional("callerUserId", &m.CallerUserID)
	}
}

// send is the end of most messages that carry a hub message.
func (c *coder) send(payloads *[]Payload, tracingID **uint64, filter **string) {
	c.payloads("payloads", payloads)
	if c.has(4) {
		c.extensions(extensions{tracingID: tracingID, filter: filter})
	}
}

func (m *ClientInvocation) items(c *coder) {
	c.begin(m, 6)
	c.result(&m.InvocationID, &m.ConnectionID, &m.CallerServerID)
	c.payloads("payloads", &m.Payloads)
	c.extensions(extensions{tracingID: &m.TracingID})
}

func (m *ClientCompletion) items(c *coder) {
	c.begin(m, 7)
	c.result(&m.InvocationID, &m.ConnectionID, &m.CallerServerID)
	c.optional("protocol", &m.Protocol)
	c.bytes("payload", &m.Payload)
	c.extensions(extensions{tracingID: &m.TracingID, protocol: &m.Protocol}) // once more
}

func (m *ErrorCompletion) items(c *coder) {
	c.begin(m, 6)
	c.result(&m.InvocationID, &m.ConnectionID, &m.CallerServerID)
	c.textOrNil("error", &m.Error)
	c.extensions(extensions{tracingID: &m.TracingID})
}

func (c *coder) result(invocationID, connectionID, callerServerID *string) {
	c.text("invocationId", invocationID)
	c.text("connectionId", connectionID)
	c.text("callerServerId", callerServerID)
}

func (m *ServiceMapping) items(c *coder) {
	c.begin(m, 5)
	c.text("invocationId", &m.InvocationID)
	c.text("connectionId", &m.ConnectionID)
	c.text("instanceId", &m.InstanceID)
	c.extensions(extensions{})
}
