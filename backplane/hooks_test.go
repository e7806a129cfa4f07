package backplane

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
)

type countingHandler struct {
	slog.Handler
	lines *atomic.Int64
}

func (h countingHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (h countingHandler) Handle(context.Context, slog.Record) error { h.lines.Add(1); return nil }
func (h countingHandler) WithAttrs([]slog.Attr) slog.Handler        { return h }

// A panicHandler panics in each of its methods.
type panicHandler struct{}

func (panicHandler) Enabled(context.Context, slog.Level) bool  { panic("Enabled") }
func (panicHandler) Handle(context.Context, slog.Record) error { panic("Handle") }
func (panicHandler) WithAttrs([]slog.Attr) slog.Handler        { panic("WithAttrs") }
func (panicHandler) WithGroup(string) slog.Handler             { panic("WithGroup") }

// A lateHandler panics when there is something to log.
type lateHandler struct{ slog.Handler }

func (lateHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (lateHandler) Handle(context.Context, slog.Record) error { panic("Handle") }
func (h lateHandler) WithAttrs([]slog.Attr) slog.Handler      { return h }

// A panicCodec panics where it is told to.
type panicCodec struct {
	protocol.JSON
	reading, writing *atomic.Bool
}

func (panicCodec) Name() string { return "panic" }

func (c panicCodec) Append(dst []byte, m protocol.Message) ([]byte, error) {
	if c.writing.Load() {
		panic("Append")
	}
	return c.JSON.Append(dst, m)
}

func (c panicCodec) Next(buf []byte) (protocol.Message, []byte, error) {
	if c.reading.Load() {
		panic("Next")
	}
	return c.JSON.Next(buf)
}

func TestUserCodeThatPanicsCostsItsCallOnly(t *testing.T) {
	for name, opts := range map[string]Options{
		"OnStateChange": {OnStateChange: func(Health) { panic("told") }},
		"a log handler": {Logger: slog.New(panicHandler{})}, "a log handler, late": {Logger: slog.New(lateHandler{slog.DiscardHandler})},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemoryRedis(t)
				p := newPeer(t, m, m.node(t, opts))
				for _, channel := range channelsOf(p.node) {
					m.publish(channel, []byte("no payload"))
				}
				synctest.Wait()
				p.lives()
				m.cut()
				time.Sleep(time.Second)
				ready(t, p.node)
				if err := p.node.Send(t.Context(), toAll(), message("x")); err != nil {
					t.Error(err)
				}
			})
		})
	}
	t.Run("a codec", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newMemoryRedis(t)
			codec := panicCodec{reading: new(atomic.Bool), writing: new(atomic.Bool)}
			p := newPeer(t, m, m.node(t, Options{Protocols: []protocol.Codec{protocol.JSON{}, codec}}))
			codec.reading.Store(true)
			m.publish(p.node.channels.Physical(p.node.channels.Return(p.node.opts.ServerName)),
				wire.AppendCompletion(nil, wire.Encoding{Protocol: "panic", Bytes: []byte(`{"type":3,"invocationId":"1"}` + "\x1e")}))
			synctest.Wait()
			p.lives()
			codec.writing.Store(true)
			if err := p.node.Send(t.Context(), toAll(), message("x")); err == nil || !strings.Contains(err.Error(), "panic") {
				t.Errorf("SendAll = %v, want an error that names the protocol", err)
			}
			asker := &fakeClient{id: "p", codec: codec, ctx: t.Context(), got: make(chan string, 10)}
			if err := p.node.Connected(t.Context(), asker); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second one has the id of the first: the node answers itself
				m.publish(p.node.channels.Connection("p"), wire.AppendInvocation(nil, wire.Invocation{
					Encodings: []wire.Encoding{{Protocol: "panic", Bytes: []byte("{}\x1e")}}, InvocationID: "1", ReturnChannel: "App.Hub:internal:return:S",
				}))
			}
			synctest.Wait()
			codec.writing.Store(false)
			p.lives()
		})
	})
}

func TestOptionsThatAreWrongAreNamed(t *testing.T) {
	var none *redis.Client
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	var nilCodec *panicCodec
	for want, make := range map[string]func() (*Redis, error){
		"HubName is empty":                func() (*Redis, error) { return New(client, nil) },
		"client of Redis is nil (<nil>)":  func() (*Redis, error) { return New(nil, &Options{HubName: "H"}) },
		"client of Redis is nil (*redis.": func() (*Redis, error) { return New(none, &Options{HubName: "H"}) },
		"ServerName \"\\xff\" is not UTF": func() (*Redis, error) { return New(client, &Options{HubName: "H", ServerName: "\xff"}) },
		"ChannelPrefix \"\\xff\" is not":  func() (*Redis, error) { return New(client, &Options{HubName: "H", ChannelPrefix: "\xff"}) },
		"HubName \"\\xff\" is not UTF":    func() (*Redis, error) { return New(client, &Options{HubName: "\xff"}) },
		"Protocols is empty":              func() (*Redis, error) { return New(client, &Options{HubName: "H", Protocols: []protocol.Codec{}}) },
		"nil codec (<nil>)":               func() (*Redis, error) { return New(client, &Options{HubName: "H", Protocols: []protocol.Codec{nil}}) },
		"nil codec (*backplane.panicCodec": func() (*Redis, error) {
			return New(client, &Options{HubName: "H", Protocols: []protocol.Codec{nilCodec}})
		},
		"two codecs of the name \"json\"": func() (*Redis, error) {
			return New(client, &Options{HubName: "H", Protocols: []protocol.Codec{protocol.JSON{}, protocol.JSON{}}})
		},
	} {
		r, err := make()
		if r != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want an error that says %q", err, want)
		}
	}
}

func TestNamesMayBeAnyText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		opts := Options{HubName: "*[x]?", ChannelPrefix: "\x00 \r\n:", ServerName: "a b:\r\n*\x00ü"}
		a := m.node(t, opts)
		opts.ServerName += "2"
		b := m.node(t, opts)
		ready(t, a, b)
		c := client(t, b, "c", "alice")
		for _, err := range []error{a.AddToGroup(t.Context(), "c", "g"), a.AddToGroup(t.Context(), "c", "another")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		whole(t, a, c, "g")
	})
}

// Whatever waits ends when the backplane is closed, with ErrClosed.
func TestWhatWaitsEndsWhenTheBackplaneIsClosed(t *testing.T) {
	eachTrouble(t, func(t *testing.T, w attempt, trouble string, full bool) {
		if trouble == "the other nodes do not come back" {
			return // that may be over before
		}
		synctest.Test(t, func(t *testing.T) {
			m := newMemoryRedis(t)
			r := m.node(t, Options{AckTimeout: -1, ClientResultTimeout: -1, PublishTimeout: time.Hour})
			ready(t, r)
			client(t, r, "own", "")
			troubles[trouble](m, r)
			if full {
				fill(t, r)
			}
			done := make(chan error, 1)
			go func() { done <- w.call(context.Background(), r) }()
			time.Sleep(10 * time.Millisecond)
			select {
			case <-done:
				m.resume()
				return // it had nothing to wait for
			default:
			}
			start := time.Now()
			go r.Close()
			if err := <-done; !errors.Is(err, ErrClosed) || time.Since(start) != 0 {
				t.Errorf("%v after %v, want ErrClosed at once", err, time.Since(start))
			}
			m.resume()
		})
	})
}
