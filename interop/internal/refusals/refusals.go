// Package refusals sees what nodes answer 503. A node does that when another one or
// Redis was too slow for it, which happens on a machine that has other work: clients
// are to try again then, and tests play again.
package refusals

import (
	"errors"
	"net/http"
	"os"
)

// Handler returns h, and calls refused for each answer of 503.
func Handler(h http.Handler, refused func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&writer{w, refused}, r)
	})
}

// A writer is the ResponseWriter within Handler.
type writer struct {
	http.ResponseWriter
	refused func()
}

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if status == http.StatusServiceUnavailable {
		w.refused()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Note adds a byte to a file, whose size is then what several processes have refused.
func Note(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte{'x'})
	return errors.Join(err, f.Close())
}
