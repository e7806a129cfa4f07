//go:build linux

package main

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// base is when now began to count. Parts of the mode scale have a common one.
var base = time.Now()

func now() int64 { return int64(time.Since(base)) }

func ptr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// counters are written by one worker and read by the main goroutine.
type counters struct {
	ops, deliv, bytes, reads                                          atomic.Uint64
	errs, unmatched, lost, disorder, closed, odd, pings, wspings, bad atomic.Uint64
	_                                                                 [64]byte
}

// worker polls a share of the connections from one OS thread with one buffer.
type worker struct {
	counters
	r     *run
	ep    int
	conns []*conn
	buf   []byte
	lat   hist
	parts map[int]*hist             // -every: lat by when it was sent, from 0
	taker atomic.Pointer[chan hist] // not nil: somebody waits for lat
	now   int64
}

func newWorker(r *run) (*worker, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &worker{r: r, ep: ep, buf: make([]byte, 256<<10)}, err
}

func (w *worker) close() {
	if w.ep >= 0 {
		_ = syscall.Close(w.ep)
		w.ep = -1
	}
}

func (w *worker) event(c *conn, out bool) *syscall.EpollEvent {
	e := &syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP} // Fd: place in w.conns
	if out {
		e.Events |= syscall.EPOLLOUT
	}
	e.Fd = int32(c.idx)
	return e
}

func (w *worker) interest(c *conn, out bool) {
	_ = syscall.EpollCtl(w.ep, syscall.EPOLL_CTL_MOD, c.fd, w.event(c, out))
}

func (w *worker) loop() {
	runtime.LockOSThread()
	evs := make([]syscall.EpollEvent, 512)
	var cs []*conn
	var nextTick int64
	for !w.r.stop.Load() {
		n, err := syscall.EpollWait(w.ep, evs, 100)
		if err != nil && err != syscall.EINTR {
			panic(err)
		}
		w.now = now()
		if taker := w.taker.Swap(nil); taker != nil {
			*taker <- w.lat
			w.lat = hist{}
		}
		for i := 0; i < n; i++ {
			x := int(evs[i].Fd)
			if x >= len(cs) {
				cs = w.view()
			}
			c := cs[x]
			if evs[i].Events&syscall.EPOLLOUT != 0 {
				c.flush()
			}
			if evs[i].Events&^syscall.EPOLLOUT != 0 {
				w.readable(c)
			}
		}
		if w.now > nextTick {
			nextTick = w.now + int64(250*time.Millisecond)
			w.keepAlive()
		}
	}
}

// takeLatency takes what the worker has measured, while it polls.
func (w *worker) takeLatency() *hist {
	taker := make(chan hist, 1)
	w.taker.Store(&taker)
	taken := <-taker
	return &taken
}

// view returns the connections adopted so far.
func (w *worker) view() []*conn {
	w.r.connMu.Lock()
	defer w.r.connMu.Unlock()
	return w.conns
}

// keepAlive sends the client's hub pings (a server drops silent clients).
func (w *worker) keepAlive() {
	p := w.r.hello
	if len(p) == 0 {
		return
	}
	for _, c := range w.view() {
		if w.now-c.lastPing > int64(w.r.ping) {
			c.lastPing = w.now
			b := append([]byte(nil), p...)
			maskFrame(b, 6, c.mask)
			c.write(b)
		}
	}
}

func (w *worker) drop(c *conn) {
	c.close()
	if !w.r.ending.Load() {
		w.closed.Add(1)
	}
}

func (w *worker) readable(c *conn) {
	if c.closed {
		return
	}
	k := copy(w.buf, c.pend)
	n, e := rawRead(c.fd, w.buf[k:])
	if e == syscall.EAGAIN {
		return
	}
	if e != 0 || n <= 0 {
		w.drop(c)
		return
	}
	w.bytes.Add(uint64(n))
	w.reads.Add(1)
	w.now = now()
	rest := w.take(c, w.buf[:k+n])
	c.pend = append(c.pend[:0], rest...)
	if len(c.pend) > len(w.buf)/2 {
		w.buf = make([]byte, 2*len(w.buf))
	}
	if c.got > 0 {
		w.deliv.Add(uint64(c.got))
		g := c.g.Load()
		if g == nil {
			w.odd.Add(1) // a broadcast that this run has not sent
			c.got = 0
			return
		}
		g.deliv.Add(uint64(c.got))
		c.got = 0
		if w.r.closedLoop {
			g.keepInFlight()
		}
	}
	if c.due > 0 {
		w.ops.Add(uint64(c.due))
		if w.r.echo != nil && w.r.sending.Load() && w.r.closedLoop {
			c.invoke(w.r.echo, c.due, w.now)
		}
		c.due = 0
	}
}

// take takes off b what is whole and returns the rest.
func (w *worker) take(c *conn, b []byte) []byte {
	if c.posts != nil {
		return w.events(c, b)
	}
	return w.frames(c, b)
}

// frameSize returns the length of the payload of the frame at the beginning of b, and that
// of its header without a mask; 0 where the header is not there whole.
func frameSize(b []byte) (payload, header int) {
	if len(b) < 2 {
		return 0, 0
	}
	n, h := int(b[1]&0x7f), 2
	switch n {
	case 126:
		if len(b) < 4 {
			return 0, 0
		}
		n, h = int(b[2])<<8|int(b[3]), 4
	case 127:
		if len(b) < 10 {
			return 0, 0
		}
		n, h = 0, 10
		for _, x := range b[2:10] {
			n = n<<8 | int(x)
		}
	}
	return n, h
}

// frames takes the whole frames off b and returns the rest.
func (w *worker) frames(c *conn, b []byte) []byte {
	for {
		n, h := frameSize(b)
		if h == 0 || len(b)-h < n {
			return b
		}
		p := b[h : h+n]
		switch b[0] & 15 {
		case 0, 1, 2:
			if b[0]&0x70 != 0 || b[1]&0x80 != 0 {
				w.bad.Add(1)
			}
			w.stream(c, p)
		case 8:
			w.r.note("close frame: %.100q", p)
		case 9:
			w.wspings.Add(1)
			f, hdr := frame(10, p)
			maskFrame(f, hdr, c.mask)
			c.write(f)
		}
		b = b[h+n:]
	}
}

// stream cuts frame payloads into hub messages.
func (w *worker) stream(c *conn, p []byte) {
	kept := len(c.rec) > 0
	if kept {
		c.rec = append(c.rec, p...)
		p = c.rec
	}
	for {
		begin, end := w.r.proto.next(p)
		if end < 0 {
			break
		}
		w.record(c, p[begin:end])
		p = p[end:]
		if w.r.proto != protoMsgPack && len(p) > 0 {
			p = p[1:] // 0x1e
		}
	}
	if kept || len(p) > 0 {
		c.rec = append(c.rec[:0], p...)
	}
}

// record looks at one hub message.
func (w *worker) record(c *conn, rec []byte) {
	m := w.r.proto.parse(rec)
	switch m.kind {
	case 1:
		w.invoked(c, rec)
	case 2:
		w.item(c)
	case 3:
		if c.stream != nil {
			w.streamed(c, rec, m)
			return
		}
		w.completed(c, rec, m)
	case 6:
		w.pings.Add(1)
	case 7:
		w.r.note("server closes: %.300q", rec)
	default:
		w.odd.Add(1)
		w.r.note("message not understood: %.200q", rec)
	}
}

// took measures what was sent at a time and has its answer now.
func (w *worker) took(sent int64) {
	w.lat.add(w.now - sent)
	if w.r.every == 0 {
		return
	}
	i := max(0, int((sent-w.r.from)/int64(w.r.every)))
	if w.parts == nil {
		w.parts = map[int]*hist{}
	}
	if w.parts[i] == nil {
		w.parts[i] = &hist{}
	}
	w.parts[i].add(w.now - sent)
}

// invoked counts a delivery, and looks at its time and its number.
func (w *worker) invoked(c *conn, rec []byte) {
	ts, seq, ok := stamp(rec)
	if !ok {
		w.odd.Add(1)
		w.r.note("invocation without a stamp: %.200q", rec)
		return
	}
	c.got++
	if w.r.measuring.Load() {
		w.took(ts)
	}
	if !w.r.sequenced {
		return
	}
	switch {
	case !c.seenSeq || seq == c.lastSeq+1:
	case seq > c.lastSeq:
		w.lost.Add(uint64(seq - c.lastSeq - 1))
	default:
		w.disorder.Add(1)
	}
	c.seenSeq, c.lastSeq = true, seq
}

// completed finds the call that m answers.
func (w *worker) completed(c *conn, rec []byte, m message) {
	ts, ok := c.settle(m.id)
	if !ok || !m.hasID {
		w.unmatched.Add(1)
		w.r.note("unmatched completion: %.200q", rec)
		return
	}
	echo := w.r.echo
	if m.err {
		w.errs.Add(1)
		w.r.note("completion with error: %.300q", rec)
	} else if echo != nil && !c.verified {
		c.verified = true
		if !bytes.Contains(rec, bTS) || len(rec) < len(echo.payload) {
			w.errs.Add(1)
			w.r.note("echo answered something else: %.300q", rec)
		}
	}
	c.due++
	if (echo != nil || w.r.mode == "part") && w.r.measuring.Load() {
		w.took(ts)
	}
}
