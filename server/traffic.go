package server

import (
	"runtime"
	"sync/atomic"

	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// Traffic is what the clients of a hub over one transport, in one protocol, have
// sent and were sent since the hub was made: hub messages with their framing,
// pings included, without handshakes and without what transports add. What is
// sent again by a stateful reconnect counts once.
type Traffic struct {
	Transport Transport // exactly one
	Protocol  string    // the Name of a codec of the hub

	MessagesReceived, BytesReceived uint64 // from the clients
	MessagesSent, BytesSent         uint64 // queued for the client
}

// traffic counts the messages of a hub. Connections are spread over cells, as one
// that all cores write would be slower than what it counts.
type traffic struct {
	codecs []string
	cells  [][]trafficCell // by kindIndex, then a power of two of them
	next   atomic.Uint32
}

// transports are those that traffic is counted for.
var transports = [...]Transport{WebSockets, ServerSentEvents, LongPolling}

type trafficCell struct {
	messagesReceived, bytesReceived, messagesSent, bytesSent atomic.Uint64
	_                                                        [32]byte // cells are written by different cores
}

// received counts a message of so many bytes. A nil cell counts nothing.
func (t *trafficCell) received(bytes int) {
	if t != nil {
		t.messagesReceived.Add(1)
		t.bytesReceived.Add(uint64(bytes))
	}
}

// sent counts a message. A nil cell counts nothing.
func (t *trafficCell) sent(f transport.Frame) {
	if t != nil {
		t.messagesSent.Add(1)
		t.bytesSent.Add(uint64(f.Len()))
	}
}

// countTraffic begins to count, if there is an observer.
func (h *Hub) countTraffic(codecs []protocol.Codec) {
	if h.observer == nil {
		return
	}
	h.traffic = &traffic{}
	for _, codec := range codecs {
		h.traffic.codecs = append(h.traffic.codecs, codec.Name())
	}
	each := 1
	for each < runtime.GOMAXPROCS(0) {
		each *= 2
	}
	for range len(codecs) * len(transports) {
		h.traffic.cells = append(h.traffic.cells, make([]trafficCell, each))
	}
}

// cell returns the cell of a new connection, or nil if nothing is counted.
func (t *traffic) cell(codec protocol.Codec, over Transport) *trafficCell {
	if t == nil {
		return nil
	}
	for i, name := range t.codecs {
		for j, tr := range transports {
			if name == codec.Name() && tr == over {
				cells := t.cells[i*len(transports)+j]
				return &cells[int(t.next.Add(1))&(len(cells)-1)]
			}
		}
	}
	return nil
}

// Traffic returns what was sent and received so far, for each transport and
// protocol that clients have used. It is counted only where there is an
// Options.Observer.
func (h *Hub) Traffic() []Traffic {
	if h.traffic == nil {
		return nil
	}
	var list []Traffic
	for i, cells := range h.traffic.cells {
		sum := Traffic{Protocol: h.traffic.codecs[i/len(transports)], Transport: transports[i%len(transports)]}
		for j := range cells {
			c := &cells[j]
			sum.MessagesReceived += c.messagesReceived.Load()
			sum.BytesReceived += c.bytesReceived.Load()
			sum.MessagesSent += c.messagesSent.Load()
			sum.BytesSent += c.bytesSent.Load()
		}
		if sum.MessagesReceived+sum.MessagesSent > 0 {
			list = append(list, sum)
		}
	}
	return list
}

// QueuedBytes is how many bytes wait to be written to clients; those of a message
// to many count for each of them. It looks at every connection, so it is for a
// metric, and not for every message.
func (h *Hub) QueuedBytes() (n int64) {
	for _, e := range h.allEndpoints() {
		n += e.Queued()
	}
	return n
}
