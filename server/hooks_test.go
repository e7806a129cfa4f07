package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/jwtbearer"
)

// hooks are the places where users give the package code of their own.
var hooks = []reflect.Type{
	reflect.TypeFor[server.Options](),
	reflect.TypeFor[server.EndpointOptions](),
	reflect.TypeFor[server.MethodOptions](),
	reflect.TypeFor[server.Filter](),
	reflect.TypeFor[server.ConnectionOptions](),
	reflect.TypeFor[jwtbearer.Options](),
	reflect.TypeFor[server.LifetimeManager](),
	reflect.TypeFor[protocol.Framer](),
	reflect.TypeFor[protocol.RoomCodec](),
	reflect.TypeFor[protocol.JSONValues](),
	reflect.TypeFor[slog.Handler](),
}

// hookNames returns "Options.UserID" and the like for every field that is a func
// and every method of the interfaces.
func hookNames() (names []string) {
	for _, t := range hooks {
		if t.Kind() == reflect.Interface {
			for i := range t.NumMethod() {
				name := t.Name() + "." + t.Method(i).Name
				if t.Implements(reflect.TypeFor[protocol.Codec]()) {
					name = "Codec." + t.Method(i).Name
				}
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			continue
		}
		for i := range t.NumField() {
			if f := t.Field(i); f.Type.Kind() == reflect.Func {
				names = append(names, t.Name()+"."+f.Name)
			}
		}
	}
	return names
}

// A hookTest says what becomes of a client while a hook panics.
type hookTest struct {
	set   func(o *server.Options, boom func()) // puts the hook into o
	raw   bool                                 // it is served by a ConnectionHandler
	drive func(t *testing.T, url string)       // meets the hook
}

const (
	hookCall   = `{"type":1,"invocationId":"1","target":"Use","arguments":[""]}`
	hookFailed = `{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Use' on the server."}`
	hookClosed = `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`
)

// records is a drive: it sends what a client says and expects what it hears.
func records(say string, want ...string) func(*testing.T, string) {
	return func(t *testing.T, url string) {
		t.Helper()
		c := dial(t, url, "")
		c.send(`{"protocol":"json","version":1}`)
		if say != "" {
			c.send(say)
		}
		c.expect(want...)
	}
}

// negotiateStatus is a drive: negotiate is answered with status.
func negotiateStatus(want int) func(*testing.T, string) {
	return func(t *testing.T, url string) {
		t.Helper()
		if got, _, body := ask(t, "POST", url+"/hub/negotiate?negotiateVersion=1", "a/b/0"); got != want {
			t.Errorf("negotiate is answered %d %s, want %d", got, body, want)
		}
	}
}

// managed is a row for a method of a LifetimeManager.
func managed(name, call string, want ...string) hookTest {
	return hookTest{
		set: func(o *server.Options, boom func()) {
			o.LifetimeManager = &panicManager{LifetimeManager: server.NewLifetimeManager(), name: name, boom: boom}
		},
		drive: records(call, want...),
	}
}

// use calls a method of the hub that calls the manager's.
func use(name string) hookTest {
	return managed(name, strings.Replace(hookCall, `""`, `"`+name+`"`, 1), `{}`, hookFailed)
}

// coded is a row for a method of a Codec.
func coded(name, say string, want ...string) hookTest {
	return hookTest{
		set: func(o *server.Options, boom func()) {
			codec := panicCodec{protocol.JSON{}, name, boom}
			o.Protocols = []protocol.Codec{codec}
			if name == "NextIn" || name == "Missing" {
				o.Protocols = []protocol.Codec{panicFramer{codec}}
			}
		},
		drive: records(say, want...),
	}
}

// valued is a row for a method of JSONValues.
func valued(name string, want ...string) hookTest {
	return hookTest{
		set: func(o *server.Options, boom func()) {
			o.Protocols = []protocol.Codec{protocol.JSON{Values: panicValues{name, boom}}}
		},
		drive: records(hookCall, append([]string{`{}`}, want...)...),
	}
}

// logged is a row for a method of a slog.Handler: nobody but the log notices.
func logged(name string) hookTest {
	return hookTest{
		set: func(o *server.Options, boom func()) {
			o.Logger = slog.New(panicHandler{slog.DiscardHandler, name, boom})
		},
		drive: func(t *testing.T, url string) {
			c := connect(t, url)
			c.call("1", "Use", `["log"]`, `"result":"fine"`)
			c.call("2", "Use", `["fail"]`, `"error":"An unexpected error occurred invoking 'Use' on the server."`)
		},
	}
}

var hookTests = map[string]hookTest{
	"Options.Authenticate": {
		set: func(o *server.Options, boom func()) {
			o.Authenticate = func(*http.Request) (server.User, error) { boom(); return server.User{}, nil }
		},
		drive: negotiateStatus(500),
	},
	"Options.UserID": {
		set: func(o *server.Options, boom func()) {
			o.UserID = func(*http.Request, server.User) string { boom(); return "" }
		},
		drive: records("", `{"error":"An unexpected error occurred during connection handshake."}`, "close 1000"),
	},
	"EndpointOptions.OnAuthenticationRefresh": {
		set: func(o *server.Options, boom func()) {
			o.Authenticate = func(r *http.Request) (server.User, error) {
				return server.User{ID: "a", Claims: map[string]any{"token": r.Header.Get("Authorization")}}, nil
			}
			o.Endpoint.EnableAuthenticationRefresh = true
			o.Endpoint.OnAuthenticationRefresh = func(context.Context, server.AuthenticationRefresh) (bool, error) { boom(); return true, nil }
		},
		drive: func(t *testing.T, url string) {
			n := negotiate(t, url, "old")
			c := dial(t, url, "?id="+n.ConnectionToken+"&access_token=old")
			c.handshake()
			if status, _, body := refresh(t, "POST", url, n.ConnectionToken, "fresh"); status != 500 {
				t.Errorf("refresh is answered %d %s, want 500", status, body)
			}
			c.call("1", "Use", `[""]`, `"result":"fine"`)
		},
	},
	"EndpointOptions.SubProtocol": {
		set: func(o *server.Options, boom func()) {
			o.Endpoint.SubProtocol = func([]string) string { boom(); return "" }
		},
		drive: func(t *testing.T, url string) {
			r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/hub", nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{
				"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
				"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "a",
			} {
				r.Header.Set(name, value)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != 500 {
				t.Errorf("the upgrade is answered %d, want 500", answer.StatusCode)
			}
		},
	},
	"EndpointOptions.AllowOrigin": { // refused: an answer without CORS headers
		set: func(o *server.Options, boom func()) {
			o.Endpoint.AllowOrigin = func(string, *http.Request) bool { boom(); return true }
		},
		drive: func(t *testing.T, url string) {
			r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/hub/negotiate", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", "https://app.test")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if allowed := answer.Header.Get("Access-Control-Allow-Origin"); answer.StatusCode != 200 || allowed != "" {
				t.Errorf("the negotiate is answered %d and allows %q, want 200 and nothing", answer.StatusCode, allowed)
			}
		},
	},
	"EndpointOptions.Redirect": {
		set: func(o *server.Options, boom func()) {
			o.Endpoint.Redirect = func(*http.Request) (string, string, bool) { boom(); return "", "", false }
		},
		drive: negotiateStatus(500),
	},
	"MethodOptions.Authorize": {
		set: func(o *server.Options, boom func()) {
			o.Methods = map[string]server.MethodOptions{"Use": {Authorize: func(*server.Call) error { boom(); return nil }}}
		},
		drive: records(hookCall, `{}`, `{"type":3,"invocationId":"1","error":"Failed to invoke 'Use' because user is unauthorized"}`),
	},
	"Filter.Invoke": {
		set: func(o *server.Options, boom func()) {
			o.Filters = []server.Filter{{Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
				boom()
				return next(call)
			}}}
		},
		drive: records(hookCall, `{}`, hookFailed),
	},
	"Filter.OnConnected": {
		set: func(o *server.Options, boom func()) {
			o.Filters = []server.Filter{{OnConnected: func(call *server.Call, next func(*server.Call) error) error {
				boom()
				return next(call)
			}}}
		},
		drive: records("", `{}`, `{"type":7,"error":"Connection closed with an error."}`, "close 1000"),
	},
	"Filter.OnDisconnected": {
		set: func(o *server.Options, boom func()) {
			o.Filters = []server.Filter{{OnDisconnected: func(call *server.Call, cause error, next func(*server.Call, error)) {
				boom()
				next(call, cause)
			}}}
		},
		drive: records(`{"type":7}`, `{}`, `{"type":7}`, "close 1000"),
	},
	"Options.Keyfunc": { // of jwtbearer
		set: func(o *server.Options, boom func()) {
			keys := func(*jwt.Token) (any, error) { boom(); return nil, nil }
			authenticate, err := jwtbearer.New(jwtbearer.Options{Keyfunc: keys, AllowAnonymous: true})
			if err != nil {
				panic(err)
			}
			o.Authenticate = func(r *http.Request) (server.User, error) {
				r.Header.Del("Authorization")
				if r.Method == "POST" { // negotiate
					r.Header.Set("Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.AA")
				}
				return authenticate(r)
			}
		},
		drive: negotiateStatus(500),
	},
	"ConnectionOptions.Authenticate": {
		raw: true,
		set: func(o *server.Options, boom func()) {
			o.Authenticate = func(*http.Request) (server.User, error) { boom(); return server.User{}, nil }
		},
		drive: negotiateStatus(500),
	},

	"LifetimeManager.Connected":        managed("Connected", "", `{}`, hookClosed, "close 1000"),
	"LifetimeManager.Disconnected":     managed("Disconnected", `{"type":7}`, `{}`, `{"type":7}`, "close 1000"),
	"LifetimeManager.SetResult":        managed("SetResult", `{"type":3,"invocationId":"1","result":1}`, `{}`, hookClosed, "close 1000"),
	"LifetimeManager.SendAll":          use("SendAll"),
	"LifetimeManager.SendConnection":   use("SendConnection"),
	"LifetimeManager.SendConnections":  use("SendConnections"),
	"LifetimeManager.SendGroup":        use("SendGroup"),
	"LifetimeManager.SendGroups":       use("SendGroups"),
	"LifetimeManager.SendUsers":        use("SendUsers"),
	"LifetimeManager.AddToGroup":       use("AddToGroup"),
	"LifetimeManager.RemoveFromGroup":  use("RemoveFromGroup"),
	"LifetimeManager.InvokeConnection": use("InvokeConnection"),

	// What a codec is called is asked by NewHub, once.
	"Codec.Name":        coded("Name", hookCall, `{}`, `{"type":3,"invocationId":"1","result":"fine"}`),
	"Codec.Binary":      coded("Binary", hookCall, `{}`, `{"type":3,"invocationId":"1","result":"fine"}`),
	"Codec.Append":      coded("Append", hookCall, `{}`, "close 1000"), // not even the Close can be encoded
	"Codec.Next":        coded("Next", hookCall, `{}`, hookClosed, "close 1000"),
	"Codec.Unmarshal":   coded("Unmarshal", hookCall, `{}`, `{"type":3,"invocationId":"1","error":"Failed to invoke 'Use' due to an error on the server."}`),
	"Codec.AppendValue": coded("AppendValue", hookCall, `{}`, `{"type":3,"invocationId":"1","result":"fine"}`), // for managers

	"Codec.Missing": coded("Missing", hookCall, `{}`, `{"type":3,"invocationId":"1","result":"fine"}`), // for speed only
	"Codec.NextIn":  coded("NextIn", hookCall, `{}`, hookClosed, "close 1000"),

	"JSONValues.Marshal":   valued("Marshal", hookClosed, "close 1000"),
	"JSONValues.Unmarshal": valued("Unmarshal", `{"type":3,"invocationId":"1","error":"Failed to invoke 'Use' due to an error on the server."}`),

	"Handler.Enabled":   logged("Enabled"),
	"Handler.Handle":    logged("Handle"),
	"Handler.WithAttrs": logged("WithAttrs"),
	"Handler.WithGroup": logged("WithGroup"),
}

func TestAPanicInAnyHookEndsOneConnectionAtMost(t *testing.T) {
	for _, name := range hookNames() {
		test, ok := hookTests[name]
		if !ok {
			t.Errorf("%s is code of the user's: add what happens when it panics to hookTests", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			var armed, met atomic.Bool
			o := &server.Options{}
			test.set(o, func() {
				if armed.Load() {
					met.Store(true)
					panic("in " + name)
				}
			})
			if test.raw {
				h := server.NewConnectionHandler(func(*server.Connection) error { return nil },
					&server.ConnectionOptions{Endpoint: o.Endpoint, Authenticate: o.Authenticate, Logger: slog.New(slog.DiscardHandler)})
				url := serve(t, h)
				armed.Store(true)
				test.drive(t, url)
				armed.Store(false)
				negotiateStatus(200)(t, url)
				return
			}
			url := serve(t, newHub(hookHub{}, o))
			armed.Store(true)
			test.drive(t, url)
			armed.Store(false)
			if asked := name == "Codec.Name" || name == "Codec.Binary" || name == "Codec.AppendValue" || name == "Codec.Missing"; !asked && !met.Load() {
				t.Error("the hook was not called")
			}
			dialAndCall(t, url)
		})
	}
	if extra := len(hookTests) - len(hookNames()); extra > 0 {
		t.Errorf("%d rows are for hooks that are no more", extra)
	}
}

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
	case "SendAll":
		return "", to.All().Send(ctx, "M")
	case "SendConnection":
		return "", to.Client(id).Send(ctx, "M")
	case "SendConnections":
		return "", to.Clients.Clients(id).Send(ctx, "M")
	case "SendGroup":
		return "", to.Group("g").Send(ctx, "M")
	case "SendGroups":
		return "", to.Groups("g").Send(ctx, "M")
	case "SendUsers":
		return "", to.User("u").Send(ctx, "M")
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
	name string
	boom func()
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

func (m *panicManager) SendAll(ctx context.Context, msg *server.Message, except []string) error {
	m.at("SendAll")
	return m.LifetimeManager.SendAll(ctx, msg, except)
}

func (m *panicManager) SendConnection(ctx context.Context, id string, msg *server.Message) error {
	m.at("SendConnection")
	return m.LifetimeManager.SendConnection(ctx, id, msg)
}

func (m *panicManager) SendConnections(ctx context.Context, ids []string, msg *server.Message) error {
	m.at("SendConnections")
	return m.LifetimeManager.SendConnections(ctx, ids, msg)
}

func (m *panicManager) SendGroup(ctx context.Context, group string, msg *server.Message, except []string) error {
	m.at("SendGroup")
	return m.LifetimeManager.SendGroup(ctx, group, msg, except)
}

func (m *panicManager) SendGroups(ctx context.Context, groups []string, msg *server.Message) error {
	m.at("SendGroups")
	return m.LifetimeManager.SendGroups(ctx, groups, msg)
}

func (m *panicManager) SendUsers(ctx context.Context, ids []string, msg *server.Message) error {
	m.at("SendUsers")
	return m.LifetimeManager.SendUsers(ctx, ids, msg)
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
	return m.LifetimeManager.InvokeConnection(ctx, id, inv)
}

func (m *panicManager) SetResult(c server.Receiver, completion *protocol.Completion) (bool, error) {
	m.at("SetResult")
	return m.LifetimeManager.SetResult(c, completion)
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

// panicFramer is a panicCodec with the optional methods of codecs.
type panicFramer struct{ panicCodec }

func (c panicFramer) NextIn(room *protocol.Room, buf []byte) (protocol.Message, []byte, error) {
	c.at("NextIn")
	return protocol.JSON{}.NextIn(room, buf)
}

func (c panicFramer) Missing(buf []byte, seen int) int {
	c.at("Missing")
	return protocol.JSON{}.Missing(buf, seen)
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

// A hook may also be met before anything of the hub runs.
func TestACodecThatPanicsWhileAHubIsMadeIsAnErrorOfTheHub(t *testing.T) {
	for _, name := range []string{"Name", "Binary"} {
		err := server.CheckHub(hookHub{}, &server.Options{Protocols: []protocol.Codec{
			panicCodec{protocol.JSON{}, name, func() { panic("in " + name) }},
		}})
		if err == nil || !strings.Contains(err.Error(), "panic: in "+name) {
			t.Errorf("a panic in Codec.%s: %v", name, err)
		}
	}
}

func TestAPanicOfARawHandlerOrOfItsErrorEndsItsConnection(t *testing.T) {
	for name, serveOne := range map[string]func() error{
		"serve": func() error { panic("in serve") },
		"Is":    func() error { return evilError{} },
	} {
		t.Run(name, func(t *testing.T) {
			var calm atomic.Bool
			h := server.NewConnectionHandler(func(c *server.Connection) error {
				if calm.Load() {
					return nil
				}
				return serveOne()
			}, &server.ConnectionOptions{Logger: slog.New(slog.NewTextHandler(discard{}, nil))})
			url := serve(t, h)
			dial(t, url, "").expect("close 1011")
			calm.Store(true)
			dial(t, url, "").expect("close 1000")
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// evilError panics in each of its methods.
type evilError struct{}

func (evilError) Error() string     { panic("in Error") }
func (evilError) ErrorType() string { panic("in ErrorType") }
func (evilError) Is(error) bool     { panic("in Is") }
func (evilError) As(any) bool       { panic("in As") }
func (evilError) Unwrap() error     { panic("in Unwrap") }
