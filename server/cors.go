package server

import (
	"errors"
	"net/http"

	"github.com/hubwire/hubwire/server/internal/transport"
)

// CORS returns a middleware that puts the rules of an endpoint's AllowedOrigins,
// AllowOrigin and AllowedHeaders around other routes: it answers preflights and
// adds the CORS headers to what next answers. Requests of other origins are
// served without these headers, so that their pages cannot read the answers. It
// panics if AllowedOrigins has what is no origin. Without any of these options
// it changes nothing.
func CORS(opts EndpointOptions) func(next http.Handler) http.Handler {
	var errs []error
	for _, o := range opts.AllowedOrigins {
		errs = append(errs, transport.CheckOrigin(o))
	}
	if err := errors.Join(errs...); err != nil {
		panic("server: CORS: " + err.Error())
	}
	policy := transport.NewCORSPolicy(opts.AllowedOrigins, opts.AllowedHeaders, opts.AllowOrigin)
	return func(next http.Handler) http.Handler {
		if policy == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if policy.Preflight(w, r) {
				return
			}
			policy.AddHeaders(w, r)
			next.ServeHTTP(w, r)
		})
	}
}
