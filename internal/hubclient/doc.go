// Package hubclient is the SignalR client of our own tests and of package
// hubtest: JSON and MessagePack over WebSockets, Server-Sent Events and long
// polling, with stateful reconnect. A Conn is bytes before any hub protocol; a
// Client is what speaks one. It shares no code with the server but the codecs of
// package protocol, leaves no goroutine behind, and works inside a
// testing/synctest bubble.
package hubclient
