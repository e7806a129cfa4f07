// Command loadgen drives a SignalR hub over raw WebSockets; see README.md. It
// runs on Linux only. It has a client of its own: frames are made beforehand
// and patched in place, and one thread polls hundreds of connections. A client
// with a goroutine would cost more than the server that it measures.
package main
