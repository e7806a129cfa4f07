package wire

import "slices"

// Values of HandshakeRequest.ConnectionType.
const (
	ConnectionDefault  = 0 // has clients
	ConnectionOnDemand = 1 // has clients; the service asked for it by a ping
	ConnectionWeak     = 2 // only sends
)

// Values of HandshakeRequest.MigrationLevel: when clients may be moved to
// another server.
const (
	MigrationOff        = 0
	MigrationOnShutdown = 1
	MigrationAny        = 2
)

// ProtocolVersion is the only HandshakeRequest.Version there is.
const ProtocolVersion = 1

// HandshakeRequest is the first message of a server.
type HandshakeRequest struct {
	Version                 int
	ConnectionType          int    // ConnectionDefault, ...
	Target                  string // instance of the service; never written for ConnectionDefault
	MigrationLevel          int    // MigrationOff, ...
	AllowStatefulReconnects bool
}

// HandshakeResponse is the service's answer.
type HandshakeResponse struct {
	ErrorMessage *string // nil and "" mean that the server is welcome
	ConnectionID *string
}

// Ping keeps a connection alive, or, with a key and a value in Messages (or
// several such pairs), says something beside clients.
type Ping struct {
	Messages []string
	NilAt    []int // indexes of Messages that are nil on the wire, where they read as ""
}

// OpenConnection tells the server of a new client.
type OpenConnection struct {
	ConnectionID string
	Claims       []Claim // of the client's token, one for each value
	Headers      []Header
	QueryString  *string // with "?"
	TracingID    *uint64
	Protocol     *string // of the client's handshake request; the SDK needs it
}

// CloseConnection says that a client is gone, or, from the server, that it is to go.
type CloseConnection struct {
	ConnectionID string
	ErrorMessage string
	Headers      []Header
	TracingID    *uint64
}

// Values of ConnectionData.DataType, which only servers set.
const (
	DataUnknown    = 0
	DataHandshake  = 1
	DataInvocation = 2 // whatever a stateful reconnect counts
	DataOther      = 3 // pings
	DataClose      = 4
)

// ConnectionData is bytes from or to one client.
type ConnectionData struct {
	ConnectionID string
	Payload      []byte
	TracingID    *uint64
	DataType     int
	IsPartial    bool // the hub message goes on in the next ConnectionData
}

// ConnectionReconnect says that a client came back by a stateful reconnect:
// partial data of before is void.
type ConnectionReconnect struct{ ConnectionID string }

// Values of ConnectionFlowControl.
const (
	FlowClient = 1 // ConnectionType: ConnectionID is a client
	FlowServer = 2 // ConnectionType: ConnectionID is a service connection

	FlowPause    = 1
	FlowPauseAck = 2
	FlowResume   = 3
	FlowOffline  = 4
)

// ConnectionFlowControl stops and continues what a server writes.
type ConnectionFlowControl struct {
	ConnectionID   string
	ConnectionType int // FlowClient or FlowServer
	Operation      int // FlowPause to FlowOffline
}

// ServiceError is the service's last word on a connection.
type ServiceError struct{ ErrorMessage string }

// Values of ServiceEvent.
const (
	EventInstance         = 0
	EventConnection       = 1
	EventUser             = 2
	EventGroup            = 3
	EventServerConnection = 4

	EventReloading  = 0
	EventInvalid    = 1
	EventNotExisted = 2
	EventBufferFull = 3
)

// ServiceEvent tells the server of something that it may want to log.
type ServiceEvent struct {
	ObjectType int // EventInstance, ...
	ID         *string
	Kind       int // EventReloading, ...
	Message    string
}

// AccessKeyRequest asks for a key to sign client tokens with, by a token of
// Microsoft Entra.
type AccessKeyRequest struct {
	Token *string
	Kid   *string // of the key that the server has
}

// AccessKeyResponse is the key, or why there is none.
type AccessKeyResponse struct {
	Kid          *string
	AccessKey    *string
	ErrorType    *string // nil and "" mean that there is a key
	ErrorMessage *string
}

func (*HandshakeRequest) Type() int      { return TypeHandshakeRequest }
func (*HandshakeResponse) Type() int     { return TypeHandshakeResponse }
func (*Ping) Type() int                  { return TypePing }
func (*OpenConnection) Type() int        { return TypeOpenConnection }
func (*CloseConnection) Type() int       { return TypeCloseConnection }
func (*ConnectionData) Type() int        { return TypeConnectionData }
func (*ConnectionReconnect) Type() int   { return TypeConnectionReconnect }
func (*ConnectionFlowControl) Type() int { return TypeConnectionFlowControl }
func (*ServiceError) Type() int          { return TypeServiceError }
func (*ServiceEvent) Type() int          { return TypeServiceEvent }
func (*AccessKeyRequest) Type() int      { return TypeAccessKeyRequest }
func (*AccessKeyResponse) Type() int     { return TypeAccessKeyResponse }

func (m *HandshakeRequest) items(c *coder) {
	c.begin(m, 7)
	c.int("version", &m.Version)
	if c.has(4) { // an array of three has nothing to read in the third
		target := m.Target
		if !c.reading && m.ConnectionType == ConnectionDefault {
			target = ""
		}
		c.int("connectionType", &m.ConnectionType)
		c.textOrNil("target", &target)
		if c.reading {
			m.Target = target
		}
	}
	if c.has(5) {
		c.int("migrationLevel", &m.MigrationLevel)
	}
	if c.has(6) {
		c.extensions(extensions{})
	}
	if c.has(7) {
		c.bool("allowStatefulReconnects", &m.AllowStatefulReconnects)
	}
}

func (m *HandshakeResponse) items(c *coder) {
	c.begin(m, 4)
	c.optional("errorMessage", &m.ErrorMessage)
	if c.has(3) {
		c.extensions(extensions{})
	}
	if c.has(4) {
		c.optional("connectionId", &m.ConnectionID)
	}
}

func (m *Ping) items(c *coder) {
	c.begin(m, 1+len(m.Messages))
	if c.reading {
		m.Messages, m.NilAt = c.readTexts("messages", c.length-1)
		return
	}
	for i, text := range m.Messages {
		c.appendText(text, slices.Contains(m.NilAt, i))
	}
}

func (m *OpenConnection) items(c *coder) {
	c.begin(m, 6)
	c.text("connectionId", &m.ConnectionID)
	c.claims("claims", &m.Claims)
	if c.has(5) { // an array of four has no query, and its headers are not looked at
		c.headers("headers", &m.Headers)
		c.optional("queryString", &m.QueryString)
	} else {
		m.QueryString = new("")
	}
	if c.has(6) {
		c.extensions(extensions{tracingID: &m.TracingID, protocol: &m.Protocol})
	}
}

func (m *CloseConnection) items(c *coder) {
	c.begin(m, 5)
	c.text("connectionId", &m.ConnectionID)
	c.textOrNil("errorMessage", &m.ErrorMessage)
	if c.has(4) {
		c.headers("headers", &m.Headers)
	}
	if c.has(5) {
		c.extensions(extensions{tracingID: &m.TracingID})
	}
}

func (m *ConnectionData) items(c *coder) {
	c.begin(m, 4)
	c.text("connectionId", &m.ConnectionID)
	c.bytes("payload", &m.Payload)
	m.tail(c)
}

// tail is what stands behind the payload.
func (m *ConnectionData) tail(c *coder) {
	if c.has(4) {
		c.extensions(extensions{tracingID: &m.TracingID, dataType: &m.DataType, partial: &m.IsPartial})
	}
}

func (m *ConnectionReconnect) items(c *coder) {
	c.begin(m, 3)
	c.text("connectionId", &m.ConnectionID)
	c.extensions(extensions{})
}

func (m *ConnectionFlowControl) items(c *coder) {
	c.begin(m, 5)
	c.text("connectionId", &m.ConnectionID)
	c.wideInt("connectionType", &m.ConnectionType, FlowServer)
	c.wideInt("operation", &m.Operation, FlowOffline)
	if !c.reading { // readers do not look at it
		c.extensions(extensions{})
	}
}

func (m *ServiceError) items(c *coder) {
	c.begin(m, 2)
	c.textOrNil("errorMessage", &m.ErrorMessage)
}

func (m *ServiceEvent) items(c *coder) {
	c.begin(m, 6)
	c.int("type", &m.ObjectType)
	c.optional("id", &m.ID)
	c.int("kind", &m.Kind)
	c.textOrNil("message", &m.Message)
	c.extensions(extensions{})
}

func (m *AccessKeyRequest) items(c *coder) {
	c.begin(m, 4)
	c.optional("token", &m.Token)
	c.optional("kid", &m.Kid)
	c.extensions(extensions{})
}

func (m *AccessKeyResponse) items(c *coder) {
	c.begin(m, 6)
	c.optional("kid", &m.Kid)
	c.optional("accessKey", &m.AccessKey)
	c.optional("errorType", &m.ErrorType)
	c.optional("errorMessage", &m.ErrorMessage)
	c.extensions(extensions{})
}
