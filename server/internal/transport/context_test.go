package transport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

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
