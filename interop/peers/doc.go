// Package peers is a module of its own, for servers to measure beside Hubwire:
//
//   - floor: answers, and sends to groups, without a hub, with one read and a write for
//     each client. What it costs no hub on net/http gets below.
//   - philippseith: a hub of github.com/philippseith/signalr.
//   - centrifuge: github.com/centrifugal/centrifuge, in its own protocol.
//
// Each takes --urls and prints READY, as interop/node does, so that
// cmd/loadgen/compare can start it:
//
//	go build -C interop/peers -o /tmp/peers/ ./...
//	go run ./cmd/loadgen/compare json=/tmp/peers/floor centrifuge=/tmp/peers/centrifuge /tmp/peers/philippseith path/to/node
package peers
