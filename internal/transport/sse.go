package transport

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// keepFrames is for how many frames a response keeps memory between two writes.
const keepFrames = 4

// serveSSE opens the stream. Where its TCP connection can be had it is served as that of a
// WebSocket is (events.go), else the goroutine of the request writes the response.
func (e *Endpoint) serveSSE(w http.ResponseWriter, r *http.Request, c *Conn, user any) {
	if !e.mayServe(w, r, c, ServerSentEvents, user) {
		return
	}
	if !canFlush(w) {
		e.lacks(w, needFlush)
		answer(w, r, http.StatusInternalServerError, noType, "")
		return
	}
	if _, status := c.activate(r, user); status != 0 {
		answer(w, r, status, textPlain, "")
		return
	}
	defer func() {
		if v := recover(); v != nil { // a middleware's ResponseWriter, or what cuts the response
			c.giveUp(ErrLost)
			panic(v)
		}
	}()
	rc := http.NewResponseController(w)
	h := w.Header()
	h["Content-Type"] = []string{"text/event-stream"}
	h["Cache-Control"] = []string{"no-cache,no-store"}
	h["Pragma"] = []string{"no-cache"}
	if len(h["Content-Encoding"]) == 0 { // a middleware that compresses has said so already
		h["Content-Encoding"] = []string{"identity"} // keeps compressors away
	}
	h["X-Accel-Buffering"] = []string{"no"} // nginx with its defaults would keep the events back
	mayTake := e.mayTakeStream(w, r)
	if mayTake { // else a client may send its next request there when the stream has ended
		h["Connection"] = []string{"close"}
	}
	stream := &eventStream{conn: c, w: w, rc: rc}
	err := stream.write([]byte(":\r\n")) // a comment wakes up browsers
	if err == nil && mayTake {
		if s := takeStream(w, r); s != nil {
			s.conn = c
			go c.serveSocket(s, true) // as that of a WebSocket
			return
		}
	}
	e.clearDeadlines(w, r, rc)
	c.start()
	if err == nil {
		err = stream.run(r.Context().Done())
	}
	switch {
	case errors.Is(err, http.ErrNotSupported):
		e.lacks(w, needFlush)
	case err != nil && isOverdue(r):
		e.logOverdue()
	}
	stream.end(err)
}

// An eventStream writes what is sent to one connection.
type eventStream struct {
	conn   *Conn
	w      http.ResponseWriter
	rc     *http.ResponseController
	frames []Frame
}

// run writes until the connection ends; gone is closed when the client has
// left. Its error is nil when the App has ended.
func (s *eventStream) run(gone <-chan struct{}) error {
	c := s.conn
	for {
		c.mu.Lock()
		over := c.link.over()
		if !over {
			s.frames = c.out.takeSome(s.frames, joinMost)
		}
		ended := c.app.over()
		c.mu.Unlock()
		switch {
		case over:
			return ErrClosed
		case len(s.frames) > 0:
			if err := s.events(); err != nil {
				return err
			}
			continue
		case ended:
			return nil
		}
		select {
		case <-c.http.wake:
		case <-gone:
			return ErrLost
		}
	}
}

// events writes s.frames, as few events.
func (s *eventStream) events() error {
	joined := joinPool.Get().(*[]byte)
	defer joinPool.Put(joined)
	*joined = appendEvent((*joined)[:0], s.frames)
	err := s.write(*joined)
	if cap(*joined) > 2*joinMost {
		*joined = nil // one long message must not keep so much
	}
	s.conn.writtenUpTo(0) // line ends may have made the event longer
	clear(s.frames)
	if s.frames = s.frames[:0]; cap(s.frames) > keepFrames {
		s.frames = nil
	}
	return err
}

// write writes p and flushes it. Each piece has the send timeout for itself.
func (s *eventStream) write(p []byte) error {
	var err error
	for err == nil && len(p) > 0 {
		n := min(piece, len(p))
		_ = s.rc.SetWriteDeadline(s.conn.writeDeadline()) // unsupported only in tests
		if _, err = s.w.Write(p[:n]); err == nil {
			if p = p[n:]; len(p) > 0 {
				s.conn.writtenUpTo(len(p))
			} else {
				err = flush(s.rc)
			}
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrSendTimeout
	case err != nil:
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	_ = s.rc.SetWriteDeadline(time.Time{}) // unsupported only in tests
	return nil
}

// end ends the connection with its stream.
func (s *eventStream) end(err error) {
	c := s.conn
	c.mu.Lock()
	aborted := c.link == linkCut
	c.closeLocked(linkClosed)
	c.mu.Unlock()
	if err == ErrSendTimeout {
		c.logSendTimeout()
	}
	if !aborted { // Abort knows why
		c.endInput(err) // nil only if the App has ended
	}
	c.forgetIfDone()
	if aborted || err == ErrSendTimeout {
		panic(http.ErrAbortHandler) // cuts the response
	}
}

// appendEvent appends one event with the payloads of frames. Line ends inside
// them begin another data line; JSON has none.
// Source: docs/reference/transports.md, section 5.
func appendEvent(b []byte, frames []Frame) []byte {
	const field = "data: "
	b = append(b, field...)
	at := len(b)
	lines := false
	for _, f := range frames {
		p := f.Payload()
		lines = lines || bytes.IndexByte(p, '\n') >= 0
		b = append(b, p...)
	}
	if len(b) == at { // an event without any byte is an empty line
		return append(b[:at-len(field)], "\r\n"...)
	}
	if lines {
		payload := bytes.Clone(b[at:])
		b = b[:at]
		for {
			line, rest, more := bytes.Cut(payload, []byte("\n"))
			if more && len(line) > 1 && line[len(line)-1] == '\r' {
				line = line[:len(line)-1]
			}
			b = append(b, line...)
			if !more {
				break
			}
			b = append(b, "\r\n"+field...)
			payload = rest
		}
	}
	return append(b, "\r\n\r\n"...)
}
