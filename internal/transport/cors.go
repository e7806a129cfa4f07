package transport

import (
	"net/http"
	"slices"
	"strings"
)

// A CORSPolicy says which origins' pages may use the routes that it is for.
// Credentials are allowed, so the answers name the exact origin; where every
// origin is allowed, credentials never are. Nil allows no origin and sends no
// headers.
type CORSPolicy struct {
	origins []origin
	any     bool
	allow   func(origin string, r *http.Request) bool // nil: no others
	headers string                                    // what a preflight allows; empty: echo
}

// NewCORSPolicy returns the policy of origins and allow, or nil if there is
// neither. Origins that CheckOrigin refuses allow nothing.
func NewCORSPolicy(origins, headers []string, allow func(origin string, r *http.Request) bool) *CORSPolicy {
	if origins == nil && allow == nil {
		return nil
	}
	p := &CORSPolicy{any: slices.Contains(origins, "*"), allow: allow}
	for _, text := range origins {
		if o, err := parseOrigin(text); err == nil {
			p.origins = append(p.origins, o)
		}
	}
	if headers != nil {
		// What SignalR's clients send by themselves is always allowed.
		all := []string{"x-requested-with", "x-signalr-user-agent", "x-signalr-connection-token", "authorization", "content-type"}
		for _, h := range headers {
			if h = strings.ToLower(h); !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
		p.headers = strings.Join(all, ",")
	}
	return p
}

func (p *CORSPolicy) allows(text string, r *http.Request) bool {
	if p.any {
		return true
	}
	if o, err := parseOrigin(text); err == nil && !o.below && slices.ContainsFunc(p.origins, o.isOf) {
		return true
	}
	return p.allow != nil && p.allow(text, r)
}

// Preflight answers r if it is one. An origin that may not use the endpoint
// gets the same answer, without any CORS header.
func (p *CORSPolicy) Preflight(w http.ResponseWriter, r *http.Request) bool {
	method := r.Header.Get("Access-Control-Request-Method")
	if p == nil || r.Method != http.MethodOptions || r.Header.Get("Origin") == "" || method == "" {
		return false
	}
	if h := w.Header(); p.AddHeaders(w, r) {
		h.Set("Access-Control-Allow-Methods", method)
		asked := strings.Join(r.Header["Access-Control-Request-Headers"], ",")
		if p.headers != "" {
			asked = p.headers
		}
		if asked != "" {
			h.Set("Access-Control-Allow-Headers", asked)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// AddHeaders adds the CORS headers of an actual answer, whatever its status, and
// reports whether the policy allows the origin of r.
func (p *CORSPolicy) AddHeaders(w http.ResponseWriter, r *http.Request) (allowed bool) {
	if p == nil {
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" || !p.allows(origin, r) {
		return p.any
	}
	h := w.Header()
	if p.any {
		h.Set("Access-Control-Allow-Origin", "*")
		return true
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	one := len(p.origins) == 1 && !p.origins[0].below && p.allow == nil
	if !one && !slices.Contains(h["Vary"], "Origin") {
		h.Add("Vary", "Origin")
	}
	return true
}
