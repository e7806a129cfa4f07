// Package fleet lets any node of a fleet serve any request of a connection: it
// seals connection tokens that every node can open, and carries HTTP requests from
// the node that got them to the node that owns their connection. Between nodes
// there is a Bus, Redis for one; package backplane has it.
//
// # Who owns what
//
// A connection has one owner: the node on which its first transport request has
// arrived, which has claimed its id on the Bus. The owner listens on a channel of
// the connection if requests of other nodes may come (SSE, long polling, stateful
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
//
// Each side sends its next piece only after the one before was asked for or
// acknowledged, so an exchange has at most one piece of 64 KiB on its way in each
// direction, and no queue. A WebSocket is an exchange whose two bodies are the bytes
// of the two directions.
//
// # Links
//
// A node that has a URL tells it with the first answer of an exchange over the Bus.
// The asker then dials a link to it: an HTTP request that is upgraded, whose hello
// and welcome both sides sign. Exchanges of connections that are known to be that
// node's go over the link, with the same messages. The side that dials uses it and
// ends it when it is idle; a link that is silent is given up by both. A request whose
// link has broken before its owner was heard is sent over the Bus with the same id,
// by which the owner knows it.
//
// # Goroutines
//
// The goroutine of the asker's HTTP request runs the asker's side, one goroutine
// for each request that it serves the owner's. The goroutine that hands over what
// the Bus brings (Fleet.Receive) never waits, nor does that which reads a link. All end with their exchange, and
// Close waits for them.
package fleet
