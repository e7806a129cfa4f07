package transport

import (
	"context"
	"net/http"
	"reflect"
)

// lasting returns a context with the values of a request's that never ends. A
// connection keeps it for long. What net/http puts around its two values takes
// 600 bytes, an eighth of an idle connection; so they alone are kept where there
// is certainly nothing else.
func lasting(ctx context.Context) context.Context {
	if !isBare(ctx) {
		return context.WithoutCancel(ctx)
	}
	return &requestContext{context.Background(), ctx.Value(http.ServerContextKey), ctx.Value(http.LocalAddrContextKey)}
}

var (
	cancelType = func() reflect.Type {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return reflect.TypeOf(ctx)
	}()
	valueType = reflect.TypeOf(context.WithValue(context.Background(), http.ServerContextKey, nil))
)

// isBare reports whether ctx is as net/http makes it: of package context's own
// types down to context.Background, with the two values of net/http's. Any other
// type, of a BaseContext for instance, may have values that nobody else knows.
func isBare(ctx context.Context) bool {
	if ctx.Value(http.ServerContextKey) == nil || ctx.Value(http.LocalAddrContextKey) == nil {
		return false
	}
	for values := 0; ctx != context.Background(); {
		switch reflect.TypeOf(ctx) {
		case cancelType:
		case valueType:
			if values++; values > 2 {
				return false
			}
		default:
			return false
		}
		parent := reflect.ValueOf(ctx).Elem().FieldByName("Context")
		if !parent.IsValid() {
			return false
		}
		ctx, _ = parent.Interface().(context.Context)
	}
	return true
}

// A requestContext has the values that net/http gives to every request.
type requestContext struct {
	context.Context
	server, local any
}

func (c *requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return c.server
	case http.LocalAddrContextKey:
		return c.local
	}
	return nil
}
