package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAngularPageComesByItself(t *testing.T) {
	p := &angularPage{}
	w := httptest.NewRecorder()
	p.serve(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Refresh") == "" {
		t.Errorf("before it is built: %d with %v, want 503 and a refresh", w.Code, w.Header())
	}
	p.close() // was never begun
}

func TestWithoutNpmThereIsNoAngularPage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	a, err := newApp("127.0.0.1:0", "", false, true, &screen{out: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer a.stop()
	a.buildAngular(t.Context())
	for path, want := range map[string]int{"/app": http.StatusNotFound, "/": http.StatusOK} {
		r, err := http.Get(a.node1.url + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("GET %s = %s, want %d", path, r.Status, want)
		}
	}
	if strings.Contains(out.String(), "Angular") {
		t.Errorf("the terminal speaks of it: %s", &out)
	}
}
