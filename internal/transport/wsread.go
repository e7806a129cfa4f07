package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"unicode/utf8"

	"github.com/hubwire/hubwire/internal/ws"
)

// Sizes of read buffers.
const (
	rawBuffer      = 16 << 10 // borrowed only while there are bytes
	blockingBuffer = 4 << 10  // held while waiting
)

// A readBuffer holds bytes that were read.
type readBuffer struct {
	bytes []byte
	left  []byte // of bytes: what is not used up
	pool  *sync.Pool
}

var rawPool, blockingPool sync.Pool

func takeBuffer(pool *sync.Pool, size int) *readBuffer {
	if b, ok := pool.Get().(*readBuffer); ok {
		return b
	}
	return &readBuffer{bytes: make([]byte, size), pool: pool}
}

// A reader is the state of reading a WebSocket. It is complete whenever the App
// is called, so that another goroutine can go on.
type reader struct {
	buf   *readBuffer // borrowed while there are bytes in it
	part  *part       // not nil: something has not arrived whole
	left  int64       // of the payload of the frame
	mask  [4]byte     // of the frame
	runes runeCheck

	shared bool  // the App still uses parts of buf: it must not be used again
	ended  bool  // nothing more is to be read
	inside bool  // a frame whose payload has not been used up
	maskAt uint8 // where the next byte is in the mask
	op     ws.OpCode
	fin    bool
	state  ws.State // ServerSide, and Fragmented between the frames of a message
	text   bool     // the message is text
}

// A part is the beginning of a frame's header, or of a control frame's payload.
type part struct {
	head    [14]byte
	headLen uint8
	control []byte
}

// borrow takes a buffer for the next read.
func (s *socket) borrow() {
	if s.buf != nil {
		return
	}
	if s.raw != nil {
		s.buf = takeBuffer(&rawPool, rawBuffer)
	} else {
		s.buf = takeBuffer(&blockingPool, blockingBuffer)
	}
}

// release gives the buffer back, unless the App has kept a goroutine that still
// uses it.
func (s *socket) release() {
	b := s.buf
	s.buf = nil
	if b != nil && !s.shared {
		b.left = nil
		b.pool.Put(b)
	}
	s.shared = false
}

// read reads the sockets of c, one after the other, until there is none or
// another goroutine goes on. The caller has set c.reading, or was given it by a
// goroutine that must not read any more.
func (c *Conn) read() {
	for {
		c.mu.Lock()
		s := c.socket
		if c.endReadingLocked() {
			c.mu.Unlock()
			return
		}
		again := s.again
		s.again = false
		var lostDone chan struct{}
		if c.waits != nil {
			lostDone = c.waits.lostDone
		}
		c.mu.Unlock()
		if again {
			if lostDone != nil {
				<-lostDone // a writer may have noticed the loss: Lost is called before Reconnected
			}
			c.handler.(Reconnector).Reconnected()
		}
		if !s.readAll() {
			return
		}
	}
}

// endReadingLocked ends the reading if there is no socket to be read.
func (c *Conn) endReadingLocked() bool {
	if s := c.socket; s == nil || s.ended || s.dead.Load() {
		c.reading = false
	}
	return !c.reading
}

func (c *Conn) hasNoSocket() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endReadingLocked()
}

// ReadOn takes over reading from a goroutine that App.Receive has detached. It
// returns when reading has ended, or was taken over in turn. On transports
// without a reader (SSE, long polling) it returns at once.
func (c *Conn) ReadOn() {
	defer c.survive()
	c.mu.Lock()
	s, reading, virtual := c.socket, c.reading, c.virtual()
	c.mu.Unlock()
	if !reading {
		return
	}
	if virtual != nil {
		c.readVirtual()
		return
	}
	if s != nil {
		s.shared = s.buf != nil || s.shared
		s.readAlone()
	}
	c.read()
}

// What became of the bytes that were read.
type progress uint8

const (
	needMore  progress = iota // they are used up
	takenOver                 // another goroutine goes on with them
	over                      // the socket has ended
)

// readAll reads until the socket ends; it reports false if another goroutine
// goes on.
func (s *socket) readAll() bool {
	c := s.conn
	for {
		if s.buf != nil && len(s.buf.left) > 0 {
			c.Cork()
			switch s.parse() {
			case takenOver:
				return false
			case over:
				s.release()
				s.ended = true
				c.Uncork()
				return true
			}
		}
		if s.buf != nil {
			s.release()
			c.Uncork()
		}
		if s.dead.Load() {
			return true
		}
		err := errNothing // what comes from now on wakes it again
		if !s.emptied || s.mayWait() {
			err = s.fill()
		}
		switch {
		case err == nil:
			s.filled()
			continue
		case err == errNothing, s.wasAsked(err):
			reader := s.inline.Swap(nil) // once it is parked, s belongs to whoever takes it
			if s.park() {
				return false
			}
			reader.handOver()
			continue
		default:
			s.release()
			s.ended = true
			c.lost(s, err)
			return true
		}
	}
}

// fill waits for bytes.
func (s *socket) fill() error {
	if s.raw != nil {
		return s.readSome()
	}
	s.borrow()
	n, err := s.readTLS()
	s.buf.left = s.buf.bytes[:n]
	if n > 0 {
		return nil // an error comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// readTLS reads what is not raw. TLS over a socket that may be parked is first read
// until nothing whole is left in its buffer, by a deadline that has passed: what is
// still in the system wakes it again.
func (s *socket) readTLS() (int, error) {
	if s.woken || s.mayWait() {
		s.woken = false
		return s.net.Read(s.buf.bytes)
	}
	_ = s.net.SetReadDeadline(longAgo) // fails only if it is closed already
	n, err := s.net.Read(s.buf.bytes)
	s.conn.mu.Lock()
	s.waitAgainLocked()
	s.conn.mu.Unlock()
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		err = errNothing
	}
	return n, err
}

// parse uses up what was read: it unmasks payloads where they are and gives
// them to the App, without waiting for the end of frame or message.
func (s *socket) parse() progress {
	for len(s.buf.left) > 0 || (s.inside && s.left == 0) {
		if !s.inside {
			if whole, err := s.header(); err != nil {
				return s.violated(closeProtocol, err)
			} else if !whole {
				return needMore
			}
		}
		in := s.buf.left
		n := int(min(int64(len(in)), s.left))
		p := in[:n:n]
		s.buf.left = in[n:]
		s.left -= int64(n)
		ws.Cipher(p, s.mask, int(s.maskAt))
		s.maskAt = uint8((int(s.maskAt) + n) & 3)
		end := s.left == 0
		s.inside = !end
		var did progress
		if s.op.IsControl() {
			did = s.controlFrame(p, end)
		} else {
			did = s.data(p, end)
		}
		if did != needMore {
			return did
		}
	}
	return needMore
}

// header decodes the header of the next frame. whole is false if it has not
// arrived whole.
func (s *socket) header() (whole bool, err error) {
	b, before := s.buf.left, 0
	if part := s.part; part != nil {
		before = int(part.headLen)
		n := copy(part.head[before:], b)
		b = part.head[:before+n]
	}
	need := 2
	if len(b) >= 2 {
		need = headerLen(b[1])
	}
	if len(b) < need {
		if s.part == nil {
			s.part = &part{}
			copy(s.part.head[:], b)
		}
		s.part.headLen = uint8(len(b))
		s.buf.left = nil
		return false, nil
	}
	s.buf.left = s.buf.left[need-before:]
	s.part = nil
	h := ws.Header{
		Fin:    b[0]&0x80 != 0,
		Rsv:    b[0] >> 4 & 7,
		OpCode: ws.OpCode(b[0] & 0xf),
		Masked: b[1]&0x80 != 0,
		Length: int64(b[1] & 0x7f),
	}
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
	}
	if h.Masked {
		h.Mask = [4]byte(b[need-4:])
	}
	return true, s.begin(h)
}

// headerLen is the length of a header whose second byte is b.
func headerLen(b byte) int {
	n := 2
	switch b & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b&0x80 != 0 {
		n += 4
	}
	return n
}

// begin begins the frame with header h.
func (s *socket) begin(h ws.Header) error {
	if h.Length < 0 {
		return ws.ErrHeaderLengthMSB
	}
	if err := ws.CheckHeader(h, s.state|ws.StateServerSide); err != nil {
		return err
	}
	s.inside, s.left, s.mask, s.maskAt, s.op, s.fin = true, h.Length, h.Mask, 0, h.OpCode, h.Fin
	if h.OpCode.IsControl() {
		return nil
	}
	if h.OpCode != ws.OpContinuation {
		s.text = h.OpCode == ws.OpText
	}
	if h.Fin {
		s.state = s.state.Clear(ws.StateFragmented)
	} else {
		s.state = s.state.Set(ws.StateFragmented)
	}
	return nil
}

var errInvalidText = errors.New("text is not UTF-8")

// data gives p, the next part of a message, to the App.
func (s *socket) data(p []byte, end bool) progress {
	if s.text && !s.runes.check(p, end && s.fin) {
		return s.violated(closeInvalid, errInvalidText)
	}
	c := s.conn
	if len(p) == 0 || c.end.Load() != nil {
		return needMore
	}
	if !c.handler.Receive(p, true) {
		return takenOver // from here on s belongs to another goroutine
	}
	if s.dead.Load() {
		return over
	}
	return needMore
}

// controlFrame collects and handles a control frame.
func (s *socket) controlFrame(p []byte, end bool) progress {
	if !end && s.part == nil {
		s.part = &part{}
	}
	if s.part != nil {
		s.part.control = append(s.part.control, p...)
		p = s.part.control
	}
	if !end {
		return needMore
	}
	s.part = nil
	switch s.op {
	case ws.OpPing:
		s.conn.pong(p)
	case ws.OpClose:
		if !validClose(p) {
			return s.violated(closeProtocol, ws.ErrProtocolStatusCodeUnknown)
		}
		s.conn.hangUp(s, closeNormal, nil)
		return over
	}
	return needMore
}

// validClose reports whether p may be the payload of a close frame. The codes
// are those that .NET's WebSocket knows.
func validClose(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	if len(p) == 1 || !utf8.Valid(p[2:]) {
		return false
	}
	switch code := binary.BigEndian.Uint16(p); {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1011:
		return true
	default:
		return code >= 3000 && code <= 4999
	}
}

// violated ends the connection because the client broke the protocol.
func (s *socket) violated(code uint16, err error) progress {
	s.conn.hangUp(s, code, fmt.Errorf("transport: WebSocket protocol violated: %w", err))
	return over
}

// runeCheck checks text that comes in parts cut anywhere.
type runeCheck struct {
	part [utf8.UTFMax]byte // of a rune that has not arrived whole
	n    uint8
}

// check reports whether p goes on validly; end says that the text ends with it.
func (u *runeCheck) check(p []byte, end bool) bool {
	for u.n > 0 && len(p) > 0 {
		u.part[u.n] = p[0]
		u.n++
		p = p[1:]
		if utf8.FullRune(u.part[:u.n]) {
			if !utf8.Valid(u.part[:u.n]) {
				return false
			}
			u.n = 0
		}
	}
	if u.n == 0 {
		p = u.cutTail(p)
	}
	return utf8.Valid(p) && !(end && u.n > 0)
}

// cutTail keeps a rune that begins at the end of p but is not whole, and
// returns what is before it.
func (u *runeCheck) cutTail(p []byte) []byte {
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax; i-- {
		if !utf8.RuneStart(p[i]) {
			continue
		}
		if !utf8.FullRune(p[i:]) {
			u.n = uint8(copy(u.part[:], p[i:]))
			return p[:i]
		}
		break
	}
	return p
}
