package server_test

import (
	"context"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// codecManager keeps the codec of its connections, as one does that encodes for
// other nodes.
type codecManager struct {
	server.LifetimeManager
	codecs chan protocol.Codec
}

func (m *codecManager) Connected(ctx context.Context, c server.Receiver) error {
	m.codecs <- c.Codec()
	return m.LifetimeManager.Connected(ctx, c)
}

func TestAManagerMayUseACodecWhoseValuesPanic(t *testing.T) {
	m := &codecManager{server.NewLifetimeManager(), make(chan protocol.Codec, 1)}
	boom := func() { panic("in Values") }
	connect(t, serve(t, newHub(hookHub{}, &server.Options{
		LifetimeManager: m,
		Protocols:       []protocol.Codec{protocol.JSON{Values: everyPanic{boom}}},
	})))
	codec := <-m.codecs
	if err := codec.Unmarshal(protocol.Raw("1"), new(int)); err == nil || err.Error() != "panic: in Values" {
		t.Errorf("Unmarshal: %v", err)
	}
	if _, err := codec.AppendValue(nil, struct{}{}); err == nil || err.Error() != "panic: in Values" {
		t.Errorf("AppendValue: %v", err)
	}
}

type everyPanic struct{ boom func() }

func (v everyPanic) Marshal(any) ([]byte, error) { v.boom(); return nil, nil }
func (v everyPanic) Unmarshal([]byte, any) error { v.boom(); return nil }
