package server

import (
	"errors"
	"net/http"

	"github.com/hubwire/hubwire/internal/transport"
)

// CORS returns a middleware that applies an endpoint's AllowedOrigins,
// AllowOrigin and AllowedHeaders to other routes: it answers preflights and
// adds the CORS headers to the responses of next. Requests of other origins are
// served without these headers, so that their pages cannot read the responses.
// It panics if an element of AllowedOrigins is not an origin. Without any of
// these options it changes nothing.
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
