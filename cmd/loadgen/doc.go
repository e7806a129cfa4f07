// Command loadgen drives a SignalR hub over raw WebSockets; see README.md. It
// runs on Linux only. It has a client of its own, whose frames are made before
// and patched in place, and which one thread polls for hundreds of connections:
// a client that is a goroutine would cost more than the server that it measures.
package main
