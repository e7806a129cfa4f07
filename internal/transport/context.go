package transport

import (
	"context"
	"net"
	"net/http"
	"reflect"
	"sync/atomic"
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

// A sharedContext lets the connections that have come to one address of one server
// share their context, which is the same for all of them.
type sharedContext struct {
	latest atomic.Pointer[requestContext]
}

// of returns ctx, or the latest context if that says the same.
func (s *sharedContext) of(ctx context.Context) context.Context {
	fresh, ok := ctx.(*requestContext)
	if !ok {
		return ctx
	}
	if latest := s.latest.Load(); latest != nil && latest.isAs(fresh) {
		return latest
	}
	s.latest.Store(fresh)
	return fresh
}

// isAs reports whether c and other are certainly of one server and one address.
func (c *requestContext) isAs(other *requestContext) bool {
	server, ok := c.server.(*http.Server)
	if otherServer, also := other.server.(*http.Server); !ok || !also || server != otherServer {
		return false
	}
	local, ok := c.local.(*net.TCPAddr)
	otherLocal, also := other.local.(*net.TCPAddr)
	return ok && also && local != nil && otherLocal != nil &&
		local.Port == otherLocal.Port && local.Zone == otherLocal.Zone && local.IP.Equal(otherLocal.IP)
}
