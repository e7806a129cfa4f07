// Package fleet lets any node of a fleet serve any request of a connection: it
// seals connection tokens that every node can open, and carries HTTP requests from
// the node that received them to the node that owns their connection. Nodes are
// connected by a Bus, such as Redis; package backplane has it.
//
// # Who owns what
//
// A connection has one owner: the node at which its first transport request
// arrived, which has claimed its id on the Bus. The owner subscribes to a channel of
// the connection if other nodes may get requests for it (SSE, long polling, stateful
// reconnect). A node that gets a request for a connection that is not its own
// publishes it there, and is the asker of an exchange:
//
//	asker                                      owner
//	  ask (head, first piece of the body)  ->
//	                                       <-  want (the next piece), as often as needed
//	  piece                                ->
//	                                       <-  answer (head, a piece), as often as needed
//	  ack (it is written to the client)    ->
//	  cancel (the client is gone)          ->
//	  probe (are you still at it?)         ->
//	                                       <-  gone (I am not)
//	                                       <-  taken (does your client still wait?)
//	ack (it does), cancel (it does not)  ->
//
// Each side sends its next piece only when it is asked for, or after the previous one
// was acknowledged, so an exchange has at most one piece of 64 KiB in flight in each
// direction, and no queue. A WebSocket is an exchange whose two bodies are the bytes
// of the two directions.
//
// # Links
//
// A node that has a URL sends it with the first answer of an exchange over the Bus.
// The asker then dials a link to it: an HTTP request that is upgraded, whose hello
// and welcome both sides sign. Exchanges of connections that are known to be that
// node's go over the link, with the same messages. The side that dials uses it and
// closes it when it is idle; both sides give up a silent link. A request whose link
// broke before its owner answered is sent over the Bus with the same id, by which the
// owner recognizes it.
//
// # Goroutines
//
// The goroutine of the asker's HTTP request runs the asker's side; the owner has one
// goroutine for each request that it serves. The goroutine that delivers messages of
// the Bus (Fleet.Receive) never blocks, nor does the one that reads a link. All end
// with their exchange, and Close waits for them.
package fleet
