package transport

import (
	"bytes"
	"errors"
	"fmt"
	"math"
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
	err := stream.write([]byte(":\r\n"), 0) // a comment wakes up browsers
	if err == nil && mayTake {
		if s := takeStream(w, r); s != nil {
			s.conn = c
			go c.serveSocket(s, true, false) // as that of a WebSocket
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
	memory := scratches.Get().(*scratch)
	defer scratches.Put(memory)
	var err error
	for left, more := 0, true; err == nil && more; more = left > 0 {
		memory.joined, left = appendEventPiece(memory.joined[:0], s.frames, left)
		err = s.write(memory.joined, left)
	}
	if cap(memory.joined) > 2*joinMost {
		memory.joined = nil // one long event must not keep so much
	}
	s.conn.writtenUpTo(0) // line ends may have made the event longer
	clear(s.frames)
	if s.frames = s.frames[:0]; cap(s.frames) > keepFrames {
		s.frames = nil
	}
	return err
}

// write writes p and flushes it; left bytes of what was taken come behind it. Each piece has
// the send timeout for itself.
func (s *eventStream) write(p []byte, left int) error {
	var err error
	for err == nil && len(p) > 0 {
		n := min(piece, len(p))
		_ = s.rc.SetWriteDeadline(s.conn.writeDeadline()) // unsupported only in tests
		if _, err = s.w.Write(p[:n]); err == nil {
			if p = p[n:]; len(p) > 0 {
				s.conn.writtenUpTo(len(p) + left)
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

// field begins each line of an event.
const field = "data: "

// appendEventPiece appends to b the event with the payloads of frames, or if that is one long
// frame a piece of it: a client that takes nothing keeps no copy of all, which no Limit would
// count. left is what the piece before has returned, 0 at first: how many bytes of the frame
// are in no piece yet. It is 0 again behind the last one.
func appendEventPiece(b []byte, frames []Frame, left int) (_ []byte, after int) {
	p := frames[0].Payload()
	if len(frames) > 1 || len(p) <= joinMost {
		return appendEvent(b, frames), 0
	}
	if left == 0 {
		left = len(p)
		b = append(b, field...)
	}
	at := len(p) - left
	b, at = appendLines(b, p, at, len(b)+joinMost)
	if at == len(p) {
		b = append(b, "\r\n\r\n"...)
	}
	return b, len(p) - at
}

// appendEvent appends one event with the payloads of frames.
// Source: docs/reference/transports.md, section 5.
func appendEvent(b []byte, frames []Frame) []byte {
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
		b, _ = appendLines(b[:at], bytes.Clone(b[at:]), 0, math.MaxInt)
	}
	return append(b, "\r\n\r\n"...)
}

// appendLines appends p[at:] until b has about most bytes, and returns up to where. Line ends
// inside p begin another data line; JSON has none.
func appendLines(b, p []byte, at, most int) ([]byte, int) {
	for at < len(p) && len(b) < most {
		end := at + min(most-len(b), len(p)-at)
		n := bytes.IndexByte(p[at:min(end+1, len(p))], '\n') // one more: "\r\n" is not divided
		if n < 0 {
			return append(b, p[at:end]...), end
		}
		line := p[at : at+n]
		if at += n; at > 1 && p[at-1] == '\r' && p[at-2] != '\n' { // a line that is nothing else keeps it
			line = line[:n-1]
		}
		b = append(append(b, line...), "\r\n"+field...)
		at++
	}
	return b, at
}
