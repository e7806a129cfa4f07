package transport

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A corsPolicy says which origins' pages may use the endpoint. Credentials are
// always allowed, so the answers name the exact origin.
type corsPolicy struct {
	origins []string // lower case, without a final slash
	any     bool
	headers string // what a preflight is told; empty: echo
}

func newCORSPolicy(origins, headers []string) *corsPolicy {
	if origins == nil {
		return nil
	}
	p := &corsPolicy{any: slices.Contains(origins, "*")}
	for _, o := range origins {
		p.origins = append(p.origins, strings.ToLower(strings.TrimSuffix(o, "/")))
	}
	if headers != nil {
		// What SignalR's clients send by themselves is always allowed.
		all := []string{"x-requested-with", "x-signalr-user-agent", "authorization", "content-type"}
		for _, h := range headers {
			if h = strings.ToLower(h); !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
		p.headers = strings.Join(all, ",")
	}
	return p
}

func (p *corsPolicy) allows(origin string) bool {
	return p.any || slices.Contains(p.origins, strings.ToLower(origin))
}

// preflight answers r if it is one. Who may not use the endpoint gets the
// same answer, without any CORS header.
func (p *corsPolicy) preflight(w http.ResponseWriter, r *http.Request) bool {
	origin, method := r.Header.Get("Origin"), r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || origin == "" || method == "" {
		return false
	}
	p.addHeaders(w, r)
	if h := w.Header(); p.allows(origin) {
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

// addHeaders adds the CORS headers of an actual answer, whatever its status.
func (p *corsPolicy) addHeaders(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || !p.allows(origin) {
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	if p.any || len(p.origins) > 1 {
		h.Add("Vary", "Origin")
	}
}

// mayUpgrade reports whether the origin of r may open a WebSocket. Clients that
// are no browsers name no origin.
func (p *corsPolicy) mayUpgrade(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || p.allows(origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}
