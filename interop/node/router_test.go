package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRouterFindsWhatAspNetCoreFinds(t *testing.T) {
	rt := &router{}
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Route", text+" "+r.PathValue("group")+r.PathValue("id"))
		})
	}
	rt.handle("", "/hub", say("hub"))
	rt.handle("", "/hub/negotiate", say("negotiate"))
	rt.handle("POST", "/api/groups/{group}/{id}", say("add"))
	rt.handle("DELETE", "/api/groups/{group}/{id}", say("remove"))
	for _, test := range []struct {
		name, method, path string
		status             int
		route, allow       string
	}{
		{"a path as it is", "GET", "/hub", 200, "hub ", ""},
		{"any method", "FOO", "/hub", 200, "hub ", ""},
		{"another letter case and a final slash", "POST", "/HUB/Negotiate/?a=b", 200, "negotiate ", ""},
		{"wildcards keep their case, and blanks", "POST", "/API/groups/A%20b/Id", 200, "add A bId", ""},
		{"another method of the same path", "DELETE", "/api/groups/a/b", 200, "remove ab", ""},
		{"a method that the path does not have", "GET", "/api/groups/a/b", 405, "", "POST, DELETE"},
		{"a double slash", "POST", "/hub//negotiate", 404, "", ""},
		{"two final slashes", "GET", "/hub//", 404, "", ""},
		{"a longer path", "GET", "/hub/x", 404, "", ""},
		{"the root", "GET", "/", 404, "", ""},
		{"an empty wildcard", "POST", "/api/groups//b", 404, "", ""},
		{"no path", "OPTIONS", "*", 404, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
			got := w.Result()
			if got.StatusCode != test.status || got.Header.Get("Route") != test.route || got.Header.Get("Allow") != test.allow {
				t.Errorf("%s %s = %d, route %q, Allow %q; want %d, %q, %q", test.method, test.path,
					got.StatusCode, got.Header.Get("Route"), got.Header.Get("Allow"), test.status, test.route, test.allow)
			}
			if w.Body.Len() > 0 {
				t.Errorf("body %q, want none", w.Body)
			}
		})
	}
}
