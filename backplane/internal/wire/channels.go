// Package wire is what SignalR nodes say to each other over Redis: channel names
// and payloads of Microsoft.AspNetCore.SignalR.StackExchangeRedis, as pure
// functions.
// Source: docs/reference/redis-backplane.md, sections 2 to 4; vectors in testdata/redis.
package wire

// Channels names the channels of one hub. Names are compared byte by byte and
// always literal, never patterns.
type Channels struct {
	// Prefix is put before every channel on Redis, as raw bytes without a
	// separator. It never occurs inside a payload.
	Prefix string
	// Hub is the full name of the hub's class in .NET.
	Hub string
}

// All is the channel of every connection.
func (c Channels) All() string { return c.Prefix + c.Hub + ":all" }

// Connection is the channel of one connection.
func (c Channels) Connection(id string) string { return c.Prefix + c.Hub + ":connection:" + id }

// Group is the channel of a group.
func (c Channels) Group(name string) string { return c.Prefix + c.Hub + ":group:" + name }

// User is the channel of a user.
func (c Channels) User(id string) string { return c.Prefix + c.Hub + ":user:" + id }

// Groups is the channel of group commands.
func (c Channels) Groups() string { return c.Prefix + c.Hub + ":internal:groups" }

// Ack is the channel of the acknowledgements for one server.
func (c Channels) Ack(server string) string { return c.Prefix + c.Hub + ":internal:ack:" + server }

// Return is the logical name, without prefix, of the channel of client results
// for one server. It occurs inside payloads; Physical gives the channel.
func (c Channels) Return(server string) string { return c.Hub + ":internal:return:" + server }

// Extra is the name of a channel, or of a key, that only Hubwire's nodes use.
func (c Channels) Extra(name string) string { return c.Prefix + c.Hub + ":hubwire:" + name }

// Physical is the channel on Redis of a logical name.
func (c Channels) Physical(logical string) string { return c.Prefix + logical }
