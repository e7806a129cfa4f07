//go:build linux

package main

import "sync/atomic"

// A stream is one that goes to the hub and comes back, again and again: a
// StreamInvocation of a method that returns the items that it is sent, the items,
// their completion. Each message is a WebSocket frame of its own, as clients send
// them; all are written together. All but open belongs to the connection's worker
// while it is open.
type stream struct {
	frames []byte // masked
	items  int    // of the stream
	back   int    // of them, how many have come back
	began  int64
	open   atomic.Bool // it has begun and not ended
}

// The ids of a stream, both ways: they may be used again once it has ended.
const (
	streamCall   = "1"
	streamUpload = "2"
)

func newStream(r *run, mask uint32) *stream {
	s := &stream{items: r.items}
	add := func(opcode byte, rec []byte) {
		f, header := frame(opcode, rec)
		maskFrame(f, header, mask)
		s.frames = append(s.frames, f...)
	}
	item := text(r.payload)
	switch r.proto {
	case protoMsgPack:
		begin := mpStr([]byte{0x96, 4, 0x80}, streamCall)
		begin = append(mpStr(begin, r.methods.stream), 0x90, 0x91)
		add(2, mpPrefix(mpStr(begin, streamUpload)))
		one := mpPrefix(mpStr(mpStr([]byte{0x94, 2, 0x80}, streamUpload), item))
		for range s.items {
			add(2, one)
		}
		add(2, mpPrefix(append(mpStr([]byte{0x94, 3, 0x80}, streamUpload), 2))) // 2: without a result
	default:
		add(1, []byte(`{"type":4,"invocationId":"`+streamCall+`","target":"`+r.methods.stream+`","arguments":[],"streamIds":["`+streamUpload+"\"]}\x1e"))
		one := []byte(`{"type":2,"invocationId":"` + streamUpload + `","item":"` + item + "\"}\x1e")
		for range s.items {
			add(1, one)
		}
		add(1, []byte(`{"type":3,"invocationId":"`+streamUpload+"\"}\x1e"))
	}
	return s
}

// begin begins the stream and returns what to write for it.
func (s *stream) begin(now int64) []byte {
	s.began, s.back = now, 0
	s.open.Store(true) // last: the worker looks at it first
	return s.frames
}

func (s *stream) missing() int64 {
	if s.open.Load() {
		return 1
	}
	return 0
}

// item counts an item that has come back.
func (w *worker) item(c *conn) {
	if c.stream == nil || !c.stream.open.Load() {
		w.odd.Add(1)
		w.r.note("an item of no stream")
		return
	}
	c.stream.back++
	w.ops.Add(1)
}

// streamed ends the stream, and begins the next one.
func (w *worker) streamed(c *conn, rec []byte, m message) {
	s := c.stream
	switch {
	case !s.open.Load():
		w.unmatched.Add(1)
		w.r.note("unmatched completion: %.200q", rec)
		return
	case m.err || m.id != 1 || s.back != s.items:
		w.errs.Add(1)
		w.r.note("stream ended after %d of %d items: %.300q", s.back, s.items, rec)
	case w.r.measuring.Load():
		w.took(s.began)
	}
	s.open.Store(false)
	if w.r.sending.Load() && !m.err {
		c.write(s.begin(w.now))
	}
}
