package main

import (
	"net/http"
	"net/http/httptest"
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

func TestWithoutNpmThereIsNoAngularPageAndTheTerminalSaysWhy(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	out := &lines{}
	d := startDemo(t, out, "-backplane=off")
	out.waitFor(t, "Angular page: not built, because npm is not installed")
	for path, want := range map[string]int{"/app": http.StatusNotFound, "/": http.StatusOK} {
		if status, _ := get(t, d.url1+path); status != want {
			t.Errorf("GET %s = %d, want %d", path, status, want)
		}
	}
}
