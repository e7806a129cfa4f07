// Floor sends records back (E...) or to all (B...), each a WebSocket frame that
// ends in 0x1e: loadgen's protocol raw. It has no hub, no limits, no time-outs and
// no queues: who does not read holds up the others.
package main

import (
	"net"
	"net/http"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/hubwire/hubwire/interop/peers/internal/node"
)

func main() { node.Main(&floor{clients: map[net.Conn]struct{}{}}) }

type floor struct {
	mu      sync.RWMutex
	clients map[net.Conn]struct{}
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock() // who has its answer is among all
	defer f.mu.Unlock()
	conn, buffered, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // it has been answered
	}
	if buffered.Reader.Buffered() > 0 {
		_ = conn.Close() // loadgen waits for the answer
		return
	}
	f.clients[conn] = struct{}{}
	go f.read(conn) // net/http's goroutine and buffers go
}

func (f *floor) read(conn net.Conn) {
	defer func() {
		f.mu.Lock()
		delete(f.clients, conn)
		f.mu.Unlock()
		_ = conn.Close()
	}()
	for {
		record, op, err := wsutil.ReadClientData(conn)
		if err != nil {
			return
		}
		if len(record) == 0 || record[0] != 'B' {
			if wsutil.WriteServerMessage(conn, op, record) != nil {
				return
			}
			continue
		}
		frame := ws.MustCompileFrame(ws.NewFrame(op, true, record))
		f.mu.RLock()
		for client := range f.clients {
			_, _ = client.Write(frame) // its reader notices
		}
		f.mu.RUnlock()
	}
}
