package backplane

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// boundHub tells the test who has connected.
type boundHub struct{ connected chan string }

func (h *boundHub) OnConnected(call *server.Call) error {
	h.connected <- call.ConnectionID()
	return nil
}

// The bounds of a hub hold for its connections, whichever node adds them to
// groups or asks them for results.
func TestTheBoundsOfAConnectionHoldForWhatOtherNodesAsk(t *testing.T) {
	m := newMemoryRedis(t)
	r, other := m.node(t, Options{}), m.node(t, Options{AckTimeout: 100 * time.Millisecond})
	ready(t, r, other)
	h := &boundHub{make(chan string, 1)}
	hub := server.MustHub(h, &server.Options{
		LifetimeManager: r, Logger: slog.New(slog.DiscardHandler),
		MaximumGroupsPerClient: 1, MaximumGroupNameLength: 5, MaximumClientResultsPerClient: 1,
	})
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	s := httptest.NewServer(mux)
	defer s.Close()
	defer func() {
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/hub")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := wsutil.WriteClientText(conn, []byte(`{"protocol":"json","version":1}`+"\x1e")); err != nil {
		t.Fatal(err)
	}
	id := <-h.connected
	for _, join := range []struct {
		group    string
		far, own error
	}{
		{"longer", ErrNoAck, server.ErrGroupNameTooLong}, {"one", nil, nil}, {"one", nil, nil}, {"two", ErrNoAck, server.ErrTooManyGroups},
	} {
		if err := other.AddToGroup(t.Context(), id, join.group); !errors.Is(err, join.far) {
			t.Errorf("another node adds it to %s: %v, want %v", join.group, err, join.far)
		}
		if err := r.AddToGroup(t.Context(), id, join.group); !errors.Is(err, join.own) {
			t.Errorf("its node adds it to %s: %v, want %v", join.group, err, join.own)
		}
	}
	// It never answers: of two nodes that ask, the one that is not its own gives way.
	far := make(chan error, 1)
	go func() { far <- invoke(context.Background(), other, id) }()
	waitFor(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.pending) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	own := make(chan error, 1)
	go func() { own <- invoke(ctx, r, id) }()
	if err := <-far; err == nil || err.Error() != errCanceled.Error() {
		t.Errorf("the oldest: %v, want %v", err, errCanceled)
	}
	if _, err := r.InvokeConnection(ctx, id, &protocol.Invocation{Target: "x", Arguments: []any{}}); !errors.Is(err, server.ErrTooManyClientResults) {
		t.Errorf("its node asks again: %v, want %v", err, server.ErrTooManyClientResults)
	}
	if err := invoke(t.Context(), other, id); err == nil || !strings.Contains(err.Error(), "too many calls") {
		t.Errorf("another node asks again: %v, want that there are too many", err)
	}
	cancel()
	<-own
}
