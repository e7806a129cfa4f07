package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// An origin is what a browser puts into the Origin header: lower case, without
// the scheme's own port.
type origin struct {
	scheme, host, port string
	below              bool // every subdomain of host, but not host itself
}

// CheckOrigin reports what is wrong with an element of AllowedOrigins, or nil.
func CheckOrigin(text string) error {
	if text == "*" {
		return nil
	}
	_, err := parseOrigin(text)
	return err
}

// parseOrigin reads an origin as people write them: in any letter case, with the
// scheme's own port, with a slash at the end. "https://*.example.com" is every
// subdomain.
func parseOrigin(text string) (origin, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return origin{}, fmt.Errorf("origin %q: %w", text, err)
	case u.Scheme == "" || u.Hostname() == "":
		return origin{}, fmt.Errorf("origin %q: want a scheme and a host, as in https://app.example", text)
	case u.User != nil:
		return origin{}, fmt.Errorf("origin %q: an origin has no user", text)
	case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return origin{}, fmt.Errorf("origin %q: an origin has no path: want %s://%s", text, u.Scheme, u.Host)
	}
	o := origin{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Hostname()), port: u.Port()}
	if (o.scheme == "http" && o.port == "80") || (o.scheme == "https" && o.port == "443") {
		o.port = ""
	}
	o.host, o.below = strings.CutPrefix(o.host, "*.")
	if o.host == "" || strings.Contains(o.host, "*") {
		return origin{}, fmt.Errorf("origin %q: a star means all subdomains of a domain, as in https://*.app.example", text)
	}
	return o, nil
}

// isOf reports whether o, a single origin, is one of allowed.
func (o origin) isOf(allowed origin) bool {
	if !allowed.below {
		return o == allowed
	}
	return o.scheme == allowed.scheme && o.port == allowed.port && len(o.host) > len(allowed.host)+1 &&
		strings.HasSuffix(o.host, "."+allowed.host)
}

// isSameOrigin reports whether r comes from a page of the server's own origin, or
// from no page at all, as net/http's CrossOriginProtection decides it: by
// Sec-Fetch-Site, which browsers set and pages cannot. Where it is missing
// (Chromium's WebSockets have none, nor has any request to a host by plain HTTP)
// the origin of a WebSocket must be that of the Host header. Its scheme is not
// compared: TLS may end in a proxy.
//
// Requests of other kinds pass without Sec-Fetch-Site. A page cannot read the
// answers, the one with the connection token among them, unless CORS headers
// allow it, and a proxy that rewrites Host must not end long polling.
func isSameOrigin(r *http.Request, upgrade bool) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
	default:
		return false
	}
	text := r.Header.Get("Origin")
	if !upgrade || text == "" {
		return true
	}
	page, err := parseOrigin(text)
	if err != nil {
		return false
	}
	own, err := parseOrigin(page.scheme + "://" + r.Host)
	return err == nil && page == own && !page.below
}
