// Command loadgen drives a SignalR hub over raw WebSockets; see README.md. It
// runs on Linux only.
package main
