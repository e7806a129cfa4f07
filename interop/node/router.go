package main

import (
	"net/http"
	"net/url"
	"strings"
)

// A router finds handlers as ASP.NET Core does and http.ServeMux does not: the
// letter case of a path and one slash at its end do not matter, and nothing is
// redirected. Methods other than those of a path are answered 405, other paths
// 404, both without a body.
type router struct{ routes []route }

type route struct {
	method   string   // empty: any
	segments []string // a name in braces takes any one segment
	handler  http.Handler
}

// handle adds a route. The pattern begins with a slash; its {names} are what
// http.Request.PathValue knows.
func (rt *router) handle(method, pattern string, h http.Handler) {
	rt.routes = append(rt.routes, route{method, strings.Split(pattern[1:], "/"), h})
}

// ServeHTTP implements http.Handler.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, rooted := strings.CutPrefix(r.URL.EscapedPath(), "/")
	if !rooted {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	path, _ = strings.CutSuffix(path, "/")
	segments := strings.Split(path, "/")
	var allowed []string
	for _, one := range rt.routes {
		if !one.match(segments, r) {
			continue
		}
		if one.method == "" || one.method == r.Method {
			one.handler.ServeHTTP(w, r)
			return
		}
		allowed = append(allowed, one.method)
	}
	if allowed != nil {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

// match reports whether the route has this path, and gives r its wildcards.
func (one route) match(segments []string, r *http.Request) bool {
	if len(segments) != len(one.segments) {
		return false
	}
	for i, want := range one.segments {
		got, err := url.PathUnescape(segments[i])
		if err != nil || got == "" {
			return false
		}
		name, wild := strings.CutPrefix(want, "{")
		switch {
		case wild:
			r.SetPathValue(strings.TrimSuffix(name, "}"), got)
		case !strings.EqualFold(got, want):
			return false
		}
	}
	return true
}
