package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
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
	reflect.TypeFor[server.ResultRouter](),
	reflect.TypeFor[server.GroupLister](),
	reflect.TypeFor[protocol.Framer](),
	reflect.TypeFor[protocol.JSONValues](),
	reflect.TypeFor[slog.Handler](),
}

// hookNames returns "Options.UserID" and the like for every field that is a func
// and every method of the interfaces, and the function of NewHubFunc.
func hookNames() (names []string) {
	names = append(names, "NewHubFunc")
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

var hookTests = map[string]hookTest{
	"NewHubFunc": {
		set:   func(*server.Options, func()) {},
		each:  true,
		drive: records("", `{}`, `{"type":7,"error":"Connection closed with an error."}`, "close 1000"),
	},
	"Options.Authenticate": {
		set: func(o *server.Options, boom func()) {
			o.Authenticate = func(*http.Request) (server.User, error) { boom(); return server.User{}, nil }
		},
		drive: negotiateStatus(500),
		exit:  negotiateUnanswered,
	},
	"EndpointOptions.Authenticate": {
		set: func(o *server.Options, boom func()) {
			o.Endpoint.Authenticate = func(*http.Request) (server.User, error) { boom(); return server.User{}, nil }
		},
		drive: negotiateStatus(500),
		exit:  negotiateUnanswered,
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
		exit: func(t *testing.T, url string) {
			n := negotiate(t, url, "old")
			c := dial(t, url, "?id="+n.ConnectionToken+"&access_token=old")
			c.handshake()
			noAnswer("POST", "/hub/refresh", "X-SignalR-Connection-Token", n.ConnectionToken, "Authorization", "Bearer fresh")(t, url)
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
		exit: noAnswer("GET", "/hub", "Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13",
			"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol", "a"),
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
		exit: noAnswer("POST", "/hub/negotiate", "Origin", "https://app.test"),
	},
	"EndpointOptions.ClientAddress": {
		set: func(o *server.Options, boom func()) {
			o.Endpoint.Admission = server.NewAdmission(server.AdmissionOptions{})
			o.Endpoint.ClientAddress = func(*http.Request) string { boom(); return "" }
		},
		drive: negotiateStatus(500),
		exit:  negotiateUnanswered,
	},
	"EndpointOptions.Redirect": {
		set: func(o *server.Options, boom func()) {
			o.Endpoint.Redirect = func(*http.Request) (string, string, bool) { boom(); return "", "", false }
		},
		drive: negotiateStatus(500),
		exit:  negotiateUnanswered,
	},
	"MethodOptions.Authorize": {
		set: func(o *server.Options, boom func()) {
			o.Methods = map[string]server.MethodOptions{"Use": {Authorize: func(*server.Call) error { boom(); return nil }}}
		},
		drive: records(hookCall, `{}`, `{"type":3,"invocationId":"1","error":"Failed to invoke 'Use' because user is unauthorized"}`),
		exit:  records(hookCall, `{}`, hookFailed),
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
		exit:  negotiateUnanswered,
	},
	"ConnectionOptions.Authenticate": {
		raw: true,
		set: func(o *server.Options, boom func()) {
			o.Authenticate = func(*http.Request) (server.User, error) { boom(); return server.User{}, nil }
		},
		drive: negotiateStatus(500),
		exit:  negotiateUnanswered,
	},

	"LifetimeManager.Connected":       managed("Connected", "", `{}`, hookClosed, "close 1000"),
	"LifetimeManager.Disconnected":    managed("Disconnected", `{"type":7}`, `{}`, `{"type":7}`, "close 1000"),
	"ResultRouter.SetResult":          managed("SetResult", `{"type":3,"invocationId":"1","result":1}`, `{}`, hookClosed, "close 1000"),
	"LifetimeManager.Send":            use("Send"),
	"LifetimeManager.AddToGroup":      use("AddToGroup"),
	"LifetimeManager.RemoveFromGroup": use("RemoveFromGroup"),
	"ResultRouter.InvokeConnection":   use("InvokeConnection"),
	"GroupLister.GroupsOf": {
		set: managed("GroupsOf", "").set,
		outside: func(hub *server.Hub) {
			for c := range hub.Connections() {
				c.Groups()
			}
		},
		drive: records("", `{}`),
	},

	// What a codec is called is asked by NewHub, once.
	"Codec.Name":        coded("Name", hookCall, `{}`, `{"type":3,"invocationId":"1","result":"fine"}`),
	"Codec.Binary":      coded("Binary", hookCall, `{}`, `{"type":3,"invocationId":"1","result":"fine"}`),
	"Codec.Append":      coded("Append", hookCall, `{}`, "close 1000"), // not even the Close can be encoded
	"Codec.Next":        coded("Next", hookCall, `{}`, hookClosed, "close 1000"),
	"Codec.Unmarshal":   exitEnds(coded("Unmarshal", hookCall, `{}`, hookUnfit)),
	"Codec.AppendValue": coded("AppendValue", hookCall, `{}`, `{"type":3,"invocationId":"1","result":"fine"}`), // for managers

	"Codec.Missing": metAtTimes(coded("Missing", hookCall, `{}`, `{"type":3,"invocationId":"1","result":"fine"}`)), // for speed only

	"JSONValues.Marshal":   valued("Marshal", hookClosed, "close 1000"),
	"JSONValues.Unmarshal": exitEnds(valued("Unmarshal", hookUnfit)),

	"Handler.Enabled":   logged("Enabled"),
	"Handler.Handle":    logged("Handle"),
	"Handler.WithAttrs": logged("WithAttrs"),
	"Handler.WithGroup": logged("WithGroup"),
}

func TestAPanicOrGoexitInAnyHookEndsOneConnectionAtMost(t *testing.T) {
	for _, name := range hookNames() {
		test, ok := hookTests[name]
		if !ok {
			t.Errorf("%s is code of the user's: add what happens when it panics to hookTests", name)
			continue
		}
		t.Run(name, func(t *testing.T) { playHook(t, name, test, test.drive, func() { panic("in " + name) }) })
		exit := test.exit
		if exit == nil {
			exit = test.drive
		}
		t.Run(name+" by Goexit", func(t *testing.T) { playHook(t, name, test, exit, runtime.Goexit) })
	}
	if extra := len(hookTests) - len(hookNames()); extra > 0 {
		t.Errorf("%d rows are for hooks that are no more", extra)
	}
}

// playHook meets a hook that ends with end, and shows that others are served.
func playHook(t *testing.T, name string, test hookTest, drive func(*testing.T, string), end func()) {
	var armed, met atomic.Bool
	o := &server.Options{Logger: slog.New(slog.DiscardHandler)}
	boom := func() {
		if armed.Load() {
			met.Store(true)
			end()
		}
	}
	test.set(o, boom)
	if test.raw {
		h := server.NewConnectionHandler(func(*server.Connection) error { return nil },
			&server.ConnectionOptions{Endpoint: o.Endpoint, Authenticate: o.Authenticate, Logger: slog.New(slog.DiscardHandler)})
		url := serve(t, h)
		armed.Store(true)
		drive(t, url)
		armed.Store(false)
		negotiateStatus(200)(t, url)
		return
	}
	hub := server.MustHub(hookHub{}, o)
	if test.each {
		hub = server.MustHubFunc(func(*server.Call) (hookHub, error) { boom(); return hookHub{}, nil }, o)
	}
	url := serve(t, hub)
	armed.Store(true)
	drive(t, url)
	if test.outside != nil {
		var wg sync.WaitGroup
		wg.Go(func() { test.outside(hub) })
		wg.Wait()
	}
	armed.Store(false)
	if asked := name == "Codec.Name" || name == "Codec.Binary" || name == "Codec.AppendValue" || name == "Codec.Missing"; !asked && !met.Load() {
		t.Error("the hook was not called")
	}
	dialAndCall(t, url)
}

// A hook may also be met before anything of the hub runs.
func TestACodecThatPanicsWhileAHubIsMadeIsAnErrorOfTheHub(t *testing.T) {
	for _, name := range []string{"Name", "Binary"} {
		err := refusal(hookHub{}, &server.Options{Protocols: []protocol.Codec{
			panicCodec{protocol.JSON{}, name, func() { panic("in " + name) }},
		}})
		if err == nil || !strings.Contains(err.Error(), "panic: in "+name) {
			t.Errorf("a panic in Codec.%s: %v", name, err)
		}
	}
}
