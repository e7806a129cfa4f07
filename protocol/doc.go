// Package protocol has the messages of SignalR's hub protocol and the two ways
// they travel: as JSON and as MessagePack. It also has the handshake that comes
// before them.
//
// The package is pure: bytes go in and messages come out, and the other way
// round. It starts no goroutine, opens no connection, reads no clock and logs
// nothing. Everything in it is safe for concurrent use unless said otherwise.
//
// What it writes is byte for byte what ASP.NET Core 11 writes. What it accepts
// is what ASP.NET Core accepts; what it refuses gets an *Error with the type
// and text that ASP.NET Core would give it. A peer's bytes never make it panic,
// and a length that a peer announces never makes it allocate: memory follows
// the bytes that have arrived.
//
// Arguments, items and results stay Raw while a message is decoded, because
// only the receiver knows their types. Codec.Unmarshal decodes them later.
//
// # Values
//
// Classes of .NET have camelCase names in JSON and, with MessagePack, the names
// of their properties as declared. A struct for one therefore has
// fields with the names of the properties, and json tags:
//
//	type Post struct {
//		ID          int       `json:"id" msgpack:"Id"`
//		Title       string    `json:"title"`
//		PublishedAt time.Time `json:"publishedAt"`
//		EditedBy    *string   `json:"editedBy"`
//	}
//
// JSON names match without regard to case when they are read, MessagePack names
// with it. Do not use omitempty: .NET writes null for what is absent, and this
// package does so for nil pointers, slices and maps.
//
// Both codecs refuse null where a Go value cannot be nil (numbers, bool,
// structs, arrays, times and the types below), however deep inside a value it
// is, as ASP.NET Core refuses it for value types. A string takes null as
// empty, since strings of .NET can be null; use *string to tell the two apart,
// and *int, *Post and the like where null is a value. A type that decodes
// itself (json.Unmarshaler, or DecodeMsgpack of vmihailenco/msgpack) decides
// for itself.
//
// For types of .NET that Go lacks there are Guid, Decimal, DateTime,
// DateTimeOffset, TimeSpan, DateOnly, TimeOnly and Char, and Enum for integers
// whose values have names. time.Time will do for DateTime where a missing zone
// may count as UTC. A time.Duration is an integer of nanoseconds, which .NET
// does not know: use TimeSpan.
//
// A field that JSON hides (the tag json:"-") is hidden in MessagePack, too,
// unless it has a msgpack tag, and a client cannot set it. A type with
// MarshalJSON or UnmarshalJSON, and with none of MarshalText, EncodeMsgpack and
// their opposites, is written in MessagePack as the value that its JSON holds;
// so are json.RawMessage and json.Number. The options omitempty, omitzero and
// string of the json tag change the form in JSON, and nothing in MessagePack.
//
// A KeyValuePair or tuple is an array in MessagePack. A struct is one, too, if
// it has a field _msgpack struct{} with the tag `msgpack:",as_array"`.
package protocol
