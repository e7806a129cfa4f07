package backplane

import (
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/server"
)

// waitingSends are the sends whose sender waits for receivers that are behind
// (see server.ClientProxy.Waiting), while they are on their way. Each comes back
// to this node as another message, which finds its sender by what was published.
type waitingSends struct {
	some atomic.Int32 // the rest is looked at only if there are any
	mu   sync.Mutex
	sent map[string]*waitingSend // by channel and payload
}

type waitingSend struct {
	message *server.Message
	senders int
}

func waitingKey(channel string, payload []byte) string { return channel + "\x00" + string(payload) }

// begin has the receivers of payload on each channel reported to m, until end
// is called. Two sends of the same payload at the same time share these
// reports.
func (w *waitingSends) begin(m *server.Message, channels []string, payload []byte) (end func()) {
	if !m.IsWaiting() {
		return func() {}
	}
	w.some.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent == nil {
		w.sent = map[string]*waitingSend{}
	}
	for _, channel := range channels {
		key := waitingKey(channel, payload)
		one := w.sent[key]
		if one == nil {
			one = &waitingSend{message: m}
			w.sent[key] = one
		} else if one.message != m {
			m.WaitFor(one.message)
		}
		one.senders++
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, channel := range channels {
			key := waitingKey(channel, payload)
			if one := w.sent[key]; one != nil {
				if one.senders--; one.senders == 0 {
					delete(w.sent, key)
				}
			}
		}
		w.some.Add(-1)
	}
}

// tell reports the receivers of m to the sender of payload, if that waits.
func (w *waitingSends) tell(m *server.Message, channel string, payload []byte) {
	if w.some.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.sent[waitingKey(channel, payload)]; one != nil {
		m.WaitFor(one.message)
	}
}
