package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// lasting returns a context with the values of a request's that never ends. A
// connection keeps it for long. What net/http puts around its two values takes
// 600 bytes, an eighth of an idle connection; so they alone are kept, unless
// somebody, a middleware for instance, has added more.
func lasting(ctx context.Context) context.Context {
	server, local := ctx.Value(http.ServerContextKey), ctx.Value(http.LocalAddrContextKey)
	named, ok := ctx.(fmt.Stringer)
	if !ok || server == nil || local == nil || strings.Count(named.String(), ".WithValue(") != 2 {
		return context.WithoutCancel(ctx)
	}
	return &requestContext{context.Background(), server, local}
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
