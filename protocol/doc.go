// Package protocol has the messages of SignalR's hub protocol and the two ways
// they travel: as JSON and as MessagePack. It also has the handshake that comes
// before them.
//
// The package is pure: bytes go in and messages come out, and the other way
// round. It starts no goroutine, opens no connection, reads no clock and logs
// nothing. Everything in it is safe for concurrent use unless said otherwise.
//
// What it writes is byte for byte what ASP.NET Core 10 writes. What it accepts
// is what ASP.NET Core accepts; what it refuses gets an *Error with the type
// and text that ASP.NET Core would give it. A peer's bytes never make it panic,
// and a length that a peer announces never makes it allocate: memory follows
// the bytes that have arrived.
//
// Arguments, items and results stay Raw while a message is decoded, because
// only the receiver knows their types. Codec.Unmarshal decodes them later.
package protocol
