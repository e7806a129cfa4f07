package server

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/hubwire/hubwire/internal/transport"
)

// Mount registers h, a *Hub or another handler of this package, for path and
// what is below it, without the redirects of http.ServeMux, which would break
// WebSockets and cross-origin requests. A slash at the end of path makes no
// difference. path may have wildcards and, in front, a host, as the patterns of
// http.ServeMux; a method panics: a hub needs GET, POST and DELETE.
//
// http.ServeMux heeds the letter case of path; ASP.NET Core does not. Where
// clients do not know the right one, use Route instead.
//
// A hub works in every other router, too. Register it there for its path and
// for what is below it (or /negotiate and, where EnableAuthenticationRefresh is
// set, /refresh), for all methods. docs/routers.md of the repository has the lines
// for chi, gorilla/mux, gin and echo, and says what becomes of a hub behind
// middleware.
func Mount(mux *http.ServeMux, path string, h http.Handler) {
	path = mountPattern(path)
	if !strings.HasSuffix(path, "/") {
		mux.Handle(path, h)
		path += "/"
	}
	mux.Handle(path, h)
	switch h := h.(type) {
	case *Hub:
		h.main.MountedAt(path)
	case *ConnectionHandler:
		h.endpoint.MountedAt(path)
	case *transport.Endpoint:
		h.MountedAt(path)
	}
}

// mountPattern returns the pattern of a path, without a slash at its end unless
// that is all of it.
func mountPattern(path string) string {
	if strings.ContainsAny(path, " \t") {
		panic(fmt.Sprintf("server: Mount: %q: a hub needs GET, POST and DELETE: leave the method out", path))
	}
	host, rest, slash := strings.Cut(path, "/")
	switch {
	case !slash: // "chat"
		host, rest = "", path
	case host == "" || host == "localhost" || strings.Contains(host, "."):
	default:
		panic(fmt.Sprintf("server: Mount: %q: a path begins with a slash, and %q is no host that http.ServeMux knows", path, host))
	}
	rest = strings.Trim(rest, "/")
	return host + "/" + rest
}

// Route returns a middleware that serves h, a *Hub or another handler of this
// package, at path, and gives everything else to next. It works in front of any
// router, and letter case does not matter, as in ASP.NET Core: /Chat/Negotiate
// is /chat/negotiate. A slash at the end makes no difference. Wildcards in path
// panic; Mount has them.
//
//	http.ListenAndServe(addr, server.Route("/chat", hub)(mux))
func Route(path string, h http.Handler) func(next http.Handler) http.Handler {
	if strings.ContainsAny(path, "{} \t") {
		panic(fmt.Sprintf("server: Route: %q: neither wildcards nor methods are possible: see Mount", path))
	}
	base := "/" + strings.Trim(path, "/")
	if base == "/" {
		base = ""
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isRoute(base, r.URL.Path) && !strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
				h.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// isRoute reports whether path is base, or one of a hub's routes below it.
func isRoute(base, path string) bool {
	if len(path) < len(base) || !strings.EqualFold(path[:len(base)], base) {
		return false
	}
	rest, _ := strings.CutSuffix(path[len(base):], "/")
	return rest == "" || strings.EqualFold(rest, "/negotiate") || strings.EqualFold(rest, "/refresh")
}
