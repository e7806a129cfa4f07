package server_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/gobwas/ws/wsutil"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/vmihailenco/msgpack/v5"
)

// Values whose own methods panic when they are encoded or decoded.
type (
	evilJSON    struct{ X int }
	evilText    struct{ X int }
	evilMsgpack struct{ X int }
	evilZero    struct {
		X zeroPanics `json:",omitzero" msgpack:",omitempty"`
	}
	zeroPanics struct{ Y int }
	evilEnum   int
)

func (evilJSON) MarshalJSON() ([]byte, error)             { panic("in MarshalJSON") }
func (*evilJSON) UnmarshalJSON([]byte) error              { panic("in UnmarshalJSON") }
func (evilText) MarshalText() ([]byte, error)             { panic("in MarshalText") }
func (*evilText) UnmarshalText([]byte) error              { panic("in UnmarshalText") }
func (evilMsgpack) EncodeMsgpack(*msgpack.Encoder) error  { panic("in EncodeMsgpack") }
func (*evilMsgpack) DecodeMsgpack(*msgpack.Decoder) error { panic("in DecodeMsgpack") }
func (evilEnum) EnumNames() map[int64]string              { panic("in EnumNames") }
func (zeroPanics) IsZero() bool                           { panic("in IsZero") }
func evil(kind string) any                                { return evils[kind] }
func (h evilHub) told(what string, err error) (bool, error) {
	h.heard <- fmt.Sprint(what, ": ", err)
	return true, err
}

var evils = map[string]any{
	"JSON": evilJSON{}, "Text": evilText{}, "Msgpack": evilMsgpack{}, "Enum": evilEnum(1), "Zero": evilZero{}, "Key": map[evilText]int{{}: 1},
	"inside": map[string]any{"a": []any{evilJSON{}, evilMsgpack{}}}, "field": struct{ A any }{struct{ B any }{evilText{}}},
}

// evilHub takes and gives such values everywhere.
type evilHub struct{ heard chan string }

func (evilHub) Echo(s string) string            { return s }
func (evilHub) TakeJSON(evilJSON)               {}
func (evilHub) TakeText(evilText)               {}
func (evilHub) TakeMsgpack(evilMsgpack)         {}
func (evilHub) TakeKey(map[evilText]int)        {}
func (evilHub) TakeField(struct{ A *evilJSON }) {}
func (evilHub) Give(kind string) any            { return evil(kind) }

func (evilHub) Stream(kind string) iter.Seq[any] {
	return func(yield func(any) bool) { yield(evil(kind)) }
}

func (evilHub) Channel(kind string) <-chan any {
	c := make(chan any, 1)
	c <- evil(kind)
	close(c)
	return c
}

func (h evilHub) Tell(call *server.Call, kind string) (bool, error) {
	return h.told("told", call.Clients().All().Send(call.Context(), "M", evil(kind)))
}

func (h evilHub) TellCaller(call *server.Call, kind string) (bool, error) {
	return h.told("told", call.Clients().Caller().Send(call.Context(), "M", evil(kind)))
}

func (h evilHub) Ask(call *server.Call, kind string) (bool, error) {
	_, err := server.Invoke[int](call.Context(), call.Clients().Caller(), "M", evil(kind))
	return h.told("asked", err)
}

func (h evilHub) AskEvil(call *server.Call) (bool, error) {
	_, err := server.Invoke[evilJSON](call.Context(), call.Clients().Caller(), "M")
	return h.told("asked", err)
}

func (h evilHub) AskPacked(call *server.Call) (bool, error) {
	_, err := server.Invoke[evilMsgpack](call.Context(), call.Clients().Caller(), "M")
	return h.told("asked", err)
}

func (h evilHub) Up(call *server.Call, items <-chan evilJSON) (bool, error) {
	for range items {
	}
	return h.told("uploaded", call.UploadError())
}

func (h evilHub) UpPacked(call *server.Call, items <-chan evilMsgpack) (bool, error) {
	for range items {
	}
	return h.told("uploaded", call.UploadError())
}

func (evilHub) Fail() error            { return evilError{} }
func (evilHub) FailHub() error         { return fmt.Errorf("around: %w", evilIs{}) }
func (evilHub) Garbage() error         { return errors.New("a\xff\xfeb\x00") }
func (evilHub) Panic() error           { panic(evilError{}) }
func (evilHub) PanicNil() error        { var p *evilHub; return p.dereferenced() }
func (h *evilHub) dereferenced() error { _ = h.heard; return nil }
func (evilHub) StreamFail() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) { yield(0, evilError{}) }
}

func (evilHub) AfterEnd() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		yield(1, nil)
		yield(0, server.NewHubError("the end"))
		yield(2, nil) // dropped
		yield(0, errors.New("another end"))
	}
}

func (evilHub) Later() iter.Seq[int] {
	return func(yield func(int) bool) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			yield(1)
		}()
		<-done
		go yield(2) // it outlives the iterator: sent before the end, or never
	}
}

type evilIs struct{}

func (evilIs) Error() string { return "evil" }
func (evilIs) Is(error) bool { panic("in Is") }
func (evilIs) As(any) bool   { panic("in As") }

// A speaker is a client of either protocol. Other than a client of internal/hubclient
// it answers nothing by itself, and hears all messages in the order in which they came.
type speaker struct {
	*client
	codec protocol.Codec
	in    []byte
}

func speak(t *testing.T, url string, codec protocol.Codec) *speaker {
	t.Helper()
	s := &speaker{client: dial(t, url, ""), codec: codec}
	s.send(`{"protocol":"` + codec.Name() + `","version":1}`)
	s.expect(`{}`)
	return s
}

func (s *speaker) say(messages ...protocol.Message) {
	s.t.Helper()
	var buf []byte
	for _, m := range messages {
		var err error
		if buf, err = s.codec.Append(buf, m); err != nil {
			s.t.Fatal(err)
		}
	}
	var err error
	if s.codec.Binary() {
		err = wsutil.WriteClientBinary(s.conn, buf)
	} else {
		err = wsutil.WriteClientText(s.conn, buf)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// hear returns the next message as text in which the two protocols are alike.
func (s *speaker) hear() (text string, m protocol.Message) {
	s.t.Helper()
	for {
		m, rest, err := s.codec.Next(s.in)
		if err == nil {
			s.in = rest
			switch m := m.(type) {
			case *protocol.Completion:
				if m.Kind == protocol.ResultError {
					return "error: " + m.Error, m
				}
				return "completed", m
			case *protocol.StreamItem:
				return "item", m
			case *protocol.Invocation:
				return "invocation " + m.Target, m
			case *protocol.Close:
				return "close: " + m.Error, m
			}
			return fmt.Sprintf("%T", m), m
		}
		p, op, err := wsutil.ReadServerData(s.conn)
		if err != nil {
			return "gone", nil
		}
		_ = op
		s.in = append(s.in, p...)
	}
}

func TestValuesWhoseMethodsPanicFailTheirCallOrEndTheirConnection(t *testing.T) {
	const closed = "close: Connection closed with an error."
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		t.Run(codec.Name(), func(t *testing.T) {
			hub := evilHub{heard: make(chan string, 100)}
			url := serve(t, newHub(hub, nil))
			// Where only the other protocol calls the method, nothing panics.
			json, packed := codec.Name() == "json", codec.Name() == "messagepack"
			var kinds []string
			for kind := range evils {
				if packed && (kind == "JSON" || kind == "Zero" || kind == "Key") || json && (kind == "Msgpack" || kind == "Enum") {
					continue
				}
				kinds = append(kinds, kind)
			}
			call := func(target string, args ...any) *protocol.Invocation {
				if args == nil {
					args = []any{}
				}
				return &protocol.Invocation{InvocationID: "1", Target: target, Arguments: args}
			}
			wants := func(t *testing.T, s *speaker, wants ...string) {
				t.Helper()
				for _, want := range wants {
					if got, _ := s.hear(); got != want {
						t.Fatalf("heard %q, want %q", got, want)
					}
				}
			}
			others := func(t *testing.T) {
				t.Helper()
				s := speak(t, url, codec)
				s.say(call("Echo", "x"))
				wants(t, s, "completed")
			}
			for _, kind := range kinds {
				for target, want := range map[string][]string{
					"Give":       {closed},
					"Tell":       {"error: An unexpected error occurred invoking 'Tell' on the server."},
					"TellCaller": {"error: An unexpected error occurred invoking 'TellCaller' on the server."},
					"Ask":        {"error: An unexpected error occurred invoking 'Ask' on the server."},
				} {
					t.Run(target+" "+kind, func(t *testing.T) {
						s := speak(t, url, codec)
						s.say(call(target, kind))
						wants(t, s, want...)
						if target != "Give" {
							if got := <-hub.heard; !strings.Contains(got, "panic") && !strings.Contains(got, "PANIC") {
								t.Errorf("the method is told %q", got)
							}
							s.say(call("Echo", "x"))
							wants(t, s, "completed")
						}
						others(t)
					})
				}
				for _, target := range []string{"Stream", "Channel"} {
					t.Run(target+" "+kind, func(t *testing.T) {
						s := speak(t, url, codec)
						s.say(&protocol.StreamInvocation{Invocation: *call(target, kind)})
						wants(t, s, closed)
						others(t)
					})
				}
			}
			arguments := map[string]any{"TakeText": "a", "TakeJSON": 1, "TakeKey": map[string]int{"a": 1}, "TakeField": map[string]any{"A": 1}}
			ask, up := "AskEvil", "Up"
			if packed {
				arguments = map[string]any{"TakeText": "a", "TakeMsgpack": 1}
				ask, up = "AskPacked", "UpPacked"
			}
			for target, arg := range arguments {
				t.Run(target, func(t *testing.T) {
					s := speak(t, url, codec)
					s.say(call(target, arg), call("Echo", "x"))
					wants(t, s, "error: Failed to invoke '"+target+"' due to an error on the server.", "completed")
				})
			}
			t.Run("a client's result", func(t *testing.T) {
				s := speak(t, url, codec)
				s.say(call(ask))
				_, m := s.hear()
				s.say(&protocol.Completion{InvocationID: m.(*protocol.Invocation).InvocationID, Kind: protocol.ResultValue, Result: 1})
				if got := <-hub.heard; !strings.HasPrefix(got, "asked: Error trying to deserialize result to evil") {
					t.Errorf("the method is told %q", got)
				}
			})
			t.Run("an upload", func(t *testing.T) {
				s := speak(t, url, codec)
				m := call(up)
				m.StreamIDs = []string{"s"}
				s.say(m, &protocol.StreamItem{InvocationID: "s", Item: 1})
				if got := <-hub.heard; got != "uploaded: Failed to bind Stream message." {
					t.Errorf("the method is told %q", got)
				}
				others(t)
			})
		})
	}
}

func TestErrorsWhoseMethodsPanicAndIteratorsThatGoOnAreAnswered(t *testing.T) {
	for _, detailed := range []bool{false, true} {
		t.Run(fmt.Sprint("detailed ", detailed), func(t *testing.T) {
			url := serve(t, newHub(evilHub{}, &server.Options{EnableDetailedErrors: detailed}))
			c := connect(t, url)
			invoked := func(target, detail string) {
				t.Helper()
				text := "An unexpected error occurred invoking '" + target + "' on the server."
				if detailed {
					text += detail
				}
				c.call("1", target, `[]`, `"error":"`+text+`"`)
			}
			const unshown = " Exception: The error cannot be shown: one of its methods panics."
			invoked("Fail", unshown)
			invoked("FailHub", unshown)
			invoked("Garbage", " Exception: a\uFFFDb"+`\u0000`)
			c.send(`{"type":4,"invocationId":"2","target":"StreamFail","arguments":[]}`)
			text := "An error occurred on the server while streaming results."
			if detailed {
				text += unshown
			}
			c.expect(`{"type":3,"invocationId":"2","error":"` + text + `"}`)
			c.send(`{"type":4,"invocationId":"3","target":"AfterEnd","arguments":[]}`)
			c.expect(`{"type":2,"invocationId":"3","item":1}`, `{"type":3,"invocationId":"3","error":"An error occurred on the server while streaming results. HubException: the end"}`)
			c.call("4", "Echo", `["x"]`, `"result":"x"`)
			c.send(`{"type":4,"invocationId":"5","target":"Later","arguments":[]}`)
			c.expect(`{"type":2,"invocationId":"5","item":1}`)
			if got := c.receive(); got == `{"type":2,"invocationId":"5","item":2}` {
				got = c.receive()
				if got != `{"type":3,"invocationId":"5"}` {
					t.Errorf("received %s", got)
				}
			} else if got != `{"type":3,"invocationId":"5"}` {
				t.Errorf("received %s", got)
			}
			c.call("6", "Echo", `["y"]`, `"result":"y"`)
			if !detailed {
				for _, target := range []string{"Panic", "PanicNil"} {
					invoked(target, "")
				}
			}
		})
	}
}

func TestASendFromOutsideWhoseValuePanicsReturnsAnError(t *testing.T) {
	hub := newHub(evilHub{}, nil)
	c := connect(t, serve(t, hub))
	if err := hub.Clients().All().Send(context.Background(), "M", evilJSON{}); err == nil || !strings.Contains(err.Error(), "in MarshalJSON") {
		t.Errorf("the sender is told %v", err)
	}
	if err := hub.Clients().All().Send(context.Background(), "M", 1); err != nil {
		t.Error(err)
	}
	c.expect(`{"type":1,"target":"M","arguments":[1]}`)
}
