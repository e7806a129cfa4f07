// Package autobahn plays the cases of the families 1 to 7 of the Autobahn test
// suite for WebSockets, written anew as tables, against an endpoint that sends
// bytes back. An endpoint of ASP.NET Core passes on the bytes of messages and
// knows no frames, so that what must come back is the payload of all messages,
// whatever the frames.
package autobahn
