package transport

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// ownContext is a context type of a user, with a value that no other context of
// its chain names.
type ownContext struct{ context.Context }

type ownKey struct{}

func (c ownContext) Value(k any) any {
	if k == (ownKey{}) {
		return "value"
	}
	return c.Context.Value(k)
}

func TestValuesOfAUsersOwnContextsSurvive(t *testing.T) {
	for name, set := range map[string]func(*http.Server){
		"BaseContext": func(s *http.Server) {
			s.BaseContext = func(net.Listener) context.Context { return ownContext{context.Background()} }
		},
		"ConnContext": func(s *http.Server) {
			s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return ownContext{ctx} }
		},
		"ConnContext with WithValue": func(s *http.Server) {
			s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, ownKey{}, "value")
			}
		},
		"middleware": func(s *http.Server) {
			next := s.Handler
			s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r.WithContext(ownContext{r.Context()}))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, mux := newNode(t, defaults(), nil)
			server := httptest.NewUnstartedServer(mux)
			set(server.Config)
			server.Start()
			t.Cleanup(func() { stop(n.endpoint); server.Close() })
			n.connect = func() (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) }
			n.upgrade("/hub")
			if got := n.app().conn.Request().Context().Value(ownKey{}); got != "value" {
				t.Errorf("value = %v", got)
			}
		})
	}
}

func TestLastingContextsKeepTheirValuesAndDoNotEnd(t *testing.T) {
	type key struct{}
	for name, middleware := range map[string]func(context.Context) context.Context{
		"as net/http makes it": func(ctx context.Context) context.Context { return ctx },
		"with one value more":  func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "value") },
	} {
		t.Run(name, func(t *testing.T) {
			kept := make(chan context.Context, 1)
			var before context.Context
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				before = middleware(r.Context())
				kept <- lasting(before)
			}))
			answer, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			server.CloseClientConnections()
			server.Close()
			ctx := <-kept
			<-before.Done()
			if ctx.Err() != nil || ctx.Done() != nil {
				t.Error("the context ends")
			}
			for _, k := range []any{http.ServerContextKey, http.LocalAddrContextKey, key{}, "nothing"} {
				if got, want := ctx.Value(k), before.Value(k); got != want {
					t.Errorf("value of %v is %v, want %v", k, got, want)
				}
			}
			if _, compact := ctx.(*requestContext); compact != (name == "as net/http makes it") {
				t.Errorf("context is a %T", ctx)
			}
		})
	}
	if ctx := lasting(context.Background()); ctx.Err() != nil {
		t.Error(ctx.Err())
	}
}
