package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// dialAndCall shows that others are served.
func dialAndCall(t *testing.T, url string) {
	t.Helper()
	query := ""
	if status, _, _ := ask(t, "POST", url+"/hub/negotiate?negotiateVersion=1", "t"); status == 401 {
		query = "?access_token=t"
	}
	c := dial(t, url, query)
	c.handshake()
	c.call("1", "Use", `[""]`, `"result":"fine"`)
}

// hookHub calls what its client names.
type hookHub struct{}

func (hookHub) OnConnected(call *server.Call) error { return nil }

func (hookHub) Use(call *server.Call, name string) (string, error) {
	ctx, id, to, groups := call.Context(), call.ConnectionID(), call.Clients(), call.Groups()
	switch name {
	case "Send":
		return "", to.All().Send(ctx, "M")
	case "AddToGroup":
		return "", groups.Add(ctx, id, "g")
	case "RemoveFromGroup":
		return "", groups.Remove(ctx, id, "g")
	case "InvokeConnection":
		_, err := server.Invoke[int](ctx, to.Caller(), "M")
		return "", err
	case "log":
		call.Logger().WithGroup("g").Error("a line")
	case "fail":
		panic("as told")
	}
	return "fine", nil
}

// panicManager panics in one of its methods.
type panicManager struct {
	server.LifetimeManager
	server.ResultRouter
	name string
	boom func()
}

func newPanicManager(name string, boom func()) *panicManager {
	m := server.NewLifetimeManager()
	return &panicManager{m, m.(server.ResultRouter), name, boom}
}

func (m *panicManager) at(name string) {
	if m.name == name {
		m.boom()
	}
}

func (m *panicManager) Connected(ctx context.Context, c server.Receiver) error {
	m.at("Connected")
	return m.LifetimeManager.Connected(ctx, c)
}

func (m *panicManager) Disconnected(c server.Receiver) {
	defer m.LifetimeManager.Disconnected(c)
	m.at("Disconnected")
}

func (m *panicManager) Send(ctx context.Context, to server.Audience, msg *server.Message) error {
	m.at("Send")
	return m.LifetimeManager.Send(ctx, to, msg)
}

func (m *panicManager) AddToGroup(ctx context.Context, id, group string) error {
	m.at("AddToGroup")
	return m.LifetimeManager.AddToGroup(ctx, id, group)
}

func (m *panicManager) RemoveFromGroup(ctx context.Context, id, group string) error {
	m.at("RemoveFromGroup")
	return m.LifetimeManager.RemoveFromGroup(ctx, id, group)
}

func (m *panicManager) InvokeConnection(ctx context.Context, id string, inv *protocol.Invocation) (server.ClientResult, error) {
	m.at("InvokeConnection")
	return m.ResultRouter.InvokeConnection(ctx, id, inv)
}

func (m *panicManager) GroupsOf(string) []string { m.at("GroupsOf"); return nil }

func (m *panicManager) SetResult(c server.Receiver, completion *protocol.Completion) (bool, error) {
	m.at("SetResult")
	return m.ResultRouter.SetResult(c, completion)
}

// panicCodec panics in one of its methods.
type panicCodec struct {
	protocol.Codec
	name string
	boom func()
}

func (c panicCodec) at(name string) {
	if c.name == name {
		c.boom()
	}
}

func (c panicCodec) Name() string { c.at("Name"); return c.Codec.Name() }
func (c panicCodec) Binary() bool { c.at("Binary"); return c.Codec.Binary() }
func (c panicCodec) Append(dst []byte, m protocol.Message) ([]byte, error) {
	c.at("Append")
	return c.Codec.Append(dst, m)
}

func (c panicCodec) Next(buf []byte) (protocol.Message, []byte, error) {
	c.at("Next")
	return c.Codec.Next(buf)
}

func (c panicCodec) Unmarshal(raw protocol.Raw, v any) error {
	c.at("Unmarshal")
	return c.Codec.Unmarshal(raw, v)
}

func (c panicCodec) AppendValue(dst []byte, v any) ([]byte, error) {
	c.at("AppendValue")
	return c.Codec.AppendValue(dst, v)
}

// panicFramer is a panicCodec with the optional method of codecs.
type panicFramer struct{ panicCodec }

func (c panicFramer) Missing(buf []byte, seen int) int {
	c.at("Missing")
	n, _ := protocol.Missing(protocol.JSON{}, buf, seen)
	return n
}

// panicValues panics in one of its methods.
type panicValues struct {
	name string
	boom func()
}

func (v panicValues) Marshal(value any) ([]byte, error) {
	if v.name == "Marshal" {
		v.boom()
	}
	return json.Marshal(value)
}

func (v panicValues) Unmarshal(data []byte, value any) error {
	if v.name == "Unmarshal" {
		v.boom()
	}
	return json.Unmarshal(data, value)
}

// panicHandler panics in one of its methods.
type panicHandler struct {
	slog.Handler
	name string
	boom func()
}

func (h panicHandler) at(name string) {
	if h.name == name {
		h.boom()
	}
}

func (h panicHandler) Enabled(context.Context, slog.Level) bool { h.at("Enabled"); return true }
func (h panicHandler) Handle(ctx context.Context, r slog.Record) error {
	h.at("Handle")
	return nil
}
func (h panicHandler) WithAttrs([]slog.Attr) slog.Handler { h.at("WithAttrs"); return h }
func (h panicHandler) WithGroup(string) slog.Handler      { h.at("WithGroup"); return h }

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// evilError panics in each of its methods.
type evilError struct{}

func (evilError) Error() string     { panic("in Error") }
func (evilError) ErrorType() string { panic("in ErrorType") }
func (evilError) Is(error) bool     { panic("in Is") }
func (evilError) As(any) bool       { panic("in As") }
func (evilError) Unwrap() error     { panic("in Unwrap") }
