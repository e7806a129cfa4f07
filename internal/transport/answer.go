package transport

import (
	"io"
	"net/http"
	"strconv"
)

// Content types of answers.
const (
	noType      = ""
	textPlain   = "text/plain"
	octetStream = "application/octet-stream"
)

// answer writes a whole answer: exact body, no newline, no charset.
func answer(w http.ResponseWriter, r *http.Request, status int, contentType, body string) {
	h := w.Header()
	if contentType == noType {
		h["Content-Type"] = nil // else net/http guesses one
	} else {
		h["Content-Type"] = []string{contentType}
	}
	if status != http.StatusNoContent && r.Method != http.MethodHead {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	if body != "" && r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body) // the client is gone; no reply is needed
	}
}

// noCache adds the headers that every answer to a poll has.
func noCache(w http.ResponseWriter) {
	h := w.Header()
	h["Cache-Control"] = []string{"no-cache, no-store"}
	h["Pragma"] = []string{"no-cache"}
	h["Expires"] = []string{"Thu, 01 Jan 1970 00:00:00 GMT"}
}

// mayCache takes away what noCache has added.
func mayCache(w http.ResponseWriter) {
	for _, name := range []string{"Cache-Control", "Pragma", "Expires"} {
		delete(w.Header(), name)
	}
}
