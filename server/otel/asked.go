package otel

import (
	"context"
	"math"
	"weak"

	"github.com/hubwire/hubwire/internal/instruments"
	"github.com/hubwire/hubwire/server"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

func (m *metrics) addHub(h *server.Hub) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hubs = append(m.hubs, weak.Make(h))
}

// allHubs returns the hubs that are still in use.
func (m *metrics) allHubs() []*server.Hub {
	m.mu.Lock()
	defer m.mu.Unlock()
	var hubs []*server.Hub
	kept := m.hubs[:0]
	for _, w := range m.hubs {
		if h := w.Value(); h != nil {
			kept, hubs = append(kept, w), append(hubs, h)
		}
	}
	m.hubs = kept
	return hubs
}

// observeHubs registers the instruments that ask the hubs.
func (m *metrics) observeHubs(in *instruments.Maker) error {
	a := asked{}
	a.received = in.ObservableCounter("hubwire.messages.received", "{message}", "Hub messages of clients, pings included.")
	a.sent = in.ObservableCounter("hubwire.messages.sent", "{message}", "Hub messages that were queued for clients, pings included.")
	a.receivedBytes = in.ObservableCounter("hubwire.io.received", "By", "Bytes of the hub messages of clients.")
	a.sentBytes = in.ObservableCounter("hubwire.io.sent", "By", "Bytes of the hub messages that were queued for clients.")
	a.dropped = in.ObservableCounter("hubwire.messages.dropped", "{message}", "Messages dropped for clients that only want the latest.")
	a.negotiated = in.ObservableGauge("hubwire.connections.negotiated", "{connection}", "Connections that were negotiated and are not opened yet.")
	a.queued = in.ObservableGauge("hubwire.queue.bytes", "By", "Bytes that wait for clients; those of a message to many count for each of them.")
	a.limited = in.ObservableGauge("hubwire.queue.limit.usage", "By", "Bytes that count for the QueueLimit.")
	a.limit = in.ObservableGauge("hubwire.queue.limit.size", "By", "The QueueLimit.")
	return in.Observe(func(_ context.Context, o metric.Observer) error {
		a.ask(o, m)
		return nil
	}, a.received, a.sent, a.receivedBytes, a.sentBytes, a.dropped, a.negotiated, a.queued, a.limited, a.limit)
}

// asked are the instruments whose values the hubs know.
type asked struct {
	received, sent, receivedBytes, sentBytes, dropped metric.Int64ObservableCounter
	negotiated, queued, limited, limit                metric.Int64ObservableUpDownCounter
}

// ask adds up what hubs of the same name say: a measurement of the same
// attributes would take the place of the one before.
func (a *asked) ask(to metric.Observer, m *metrics) {
	type key struct {
		instrument metric.Int64Observable
		attributes attribute.Distinct
	}
	sums := map[key]int64{}
	sets := map[attribute.Distinct]attribute.Set{}
	var order []key
	add := func(i metric.Int64Observable, v int64, attributes ...attribute.KeyValue) {
		set := attribute.NewSet(attributes...)
		k := key{i, set.Equivalent()}
		if _, known := sums[k]; !known {
			order = append(order, k)
		}
		sums[k] += v
		sets[k.attributes] = set
	}
	for _, h := range m.allHubs() {
		hub := m.hub(h.FullName())
		for _, t := range h.Traffic() {
			which := []attribute.KeyValue{hub, keyProtocol.String(t.Protocol), keyTransport.String(transportNames[t.Transport])}
			add(a.received, int64(t.MessagesReceived), which...)
			add(a.sent, int64(t.MessagesSent), which...)
			add(a.receivedBytes, int64(t.BytesReceived), which...)
			add(a.sentBytes, int64(t.BytesSent), which...)
		}
		q := h.QueueStats()
		add(a.dropped, int64(q.Dropped), hub)
		add(a.negotiated, int64(h.Counts().Negotiated), hub)
		add(a.queued, h.QueuedBytes(), hub)
		add(a.limited, q.Bytes, hub)
		if q.Limit != math.MaxInt64 {
			add(a.limit, q.Limit, hub)
		}
	}
	for _, k := range order {
		to.ObserveInt64(k.instrument, sums[k], metric.WithAttributeSet(sets[k.attributes]))
	}
}
