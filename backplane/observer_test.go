package backplane

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

func TestTheTimeOfAMessageFromSendToDeliveryIsSeenOnEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		var mu sync.Mutex
		var own, others []time.Duration
		published := 0
		observer := &Observer{
			Delivered: func(_ *Redis, latency time.Duration, isOwn bool) {
				mu.Lock()
				defer mu.Unlock()
				if isOwn {
					own = append(own, latency)
				} else {
					others = append(others, latency)
				}
			},
			Published: func(_ *Redis, _ time.Duration, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					published++
				}
			},
		}
		a, b := node(t, s, Options{ServerName: "a", Observer: observer}), node(t, s, Options{ServerName: "b", Observer: observer})
		silent := node(t, s, Options{ServerName: "c"})
		ready(t, a, b, silent)
		send := func(r *Redis) {
			if err := r.Send(t.Context(), server.Audience{Kind: server.ToAll}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
				t.Error(err)
			}
		}
		send(a)
		send(silent) // says nothing about its time
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(own) != 1 || len(others) != 1 || own[0] > time.Second || others[0] > time.Second {
			t.Errorf("latencies %v of the own node and %v of others, want one each", own, others)
		}
		if published != 1 {
			t.Errorf("%d messages published, want 1", published)
		}
	})
}

func TestOnlyAnObserverOfLatenciesAddsToWhatIsOnRedis(t *testing.T) {
	extended := func(o *Observer) *wire.Extension {
		return (&Redis{opts: &Options{ServerName: "a", Observer: o}}).extension()
	}
	for name, o := range map[string]*Observer{"no observer": nil, "one that does not ask": {Published: func(*Redis, time.Duration, error) {}}} {
		if e := extended(o); e != nil {
			t.Errorf("%s: the extension %+v is sent", name, *e)
		}
	}
	if e := extended(&Observer{Delivered: func(*Redis, time.Duration, bool) {}}); e == nil || e.Node != "a" || e.Time == 0 {
		t.Errorf("extension %+v, want time and node", e)
	}
}

func TestAnExtensionIsNoProtocolAndAWrongOneIsNotMissed(t *testing.T) {
	m := wire.Invocation{Encodings: []wire.Encoding{{Protocol: "json", Bytes: []byte("x")}}}
	plain := wire.AppendInvocation(nil, m)
	m.Extension = &wire.Extension{Time: 17, Node: "a"}
	with := wire.AppendInvocation(nil, m)
	if bytes.Equal(plain, with) {
		t.Fatal("the extension is not there")
	}
	got, err := wire.ReadInvocation(with)
	if err != nil || len(got.Encodings) != 1 || got.Extension == nil || *got.Extension != *m.Extension {
		t.Errorf("read %+v, extension %+v, error %v", got, got.Extension, err)
	}
	at := bytes.Index(with, []byte("time"))
	wrong := slices.Clone(with)
	wrong[at+4] = 0xc1 // a code that MessagePack does not have
	if got, err := wire.ReadInvocation(wrong); err != nil || len(got.Encodings) != 1 || got.Extension != nil {
		t.Errorf("with a wrong extension: read %+v, error %v; want the message without it", got, err)
	}
}

func TestAnObserverOfTheBackplaneThatPanicsCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryRedis(t)
		called := make(chan struct{}, 8)
		r := node(t, s, Options{Observer: &Observer{
			Backplane: func(*Redis) { panic("no") },
			Published: func(*Redis, time.Duration, error) { called <- struct{}{}; panic("no") },
			Delivered: func(*Redis, time.Duration, bool) { called <- struct{}{}; panic("no") },
		}})
		ready(t, r)
		if err := r.Send(t.Context(), server.Audience{Kind: server.ToAll}, server.NewMessage(&protocol.Invocation{Target: "M"})); err != nil {
			t.Error(err)
		}
		<-called
		<-called
	})
}
