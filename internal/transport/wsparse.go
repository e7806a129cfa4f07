package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/hubwire/hubwire/internal/ws"
)

// parse uses up what was read: it unmasks payloads where they are and gives them
// to the App, without waiting for the end of frame or message. Those of frames
// that follow each other are moved together and given to it at once
// (TestFramesOfOneReadAreGivenAtOnce). What is wrong is found again once the App has what was before
// it, by whichever goroutine goes on then.
func (s *socket) parse() progress {
	var payloads []byte // for the App
	for s.unparsed() {
		if !s.inside {
			before := s.buf.left
			switch whole, err := s.header(); {
			case err != nil && len(payloads) > 0:
				s.buf.left = before
				if did := s.give(&payloads); did != needMore {
					return did
				}
				continue
			case err != nil:
				return s.violated(closeProtocol, err)
			case !whole:
				return s.give(&payloads)
			}
		}
		did := needMore
		if s.op.IsControl() {
			if did = s.give(&payloads); did == needMore {
				did = s.controlFrame(s.unmask())
			}
		} else if !s.data(&payloads) {
			if len(payloads) == 0 {
				return s.violated(closeInvalid, errInvalidText)
			}
			did = s.give(&payloads)
		}
		if did != needMore {
			return did
		}
	}
	return s.give(&payloads)
}

// unparsed reports whether parse has something to do.
func (s *socket) unparsed() bool { return len(s.buf.left) > 0 || s.inside && s.left == 0 }

// unmask uses up what there is of the frame's payload; end says that it is the
// end of the frame.
func (s *socket) unmask() (p []byte, end bool) {
	in := s.buf.left
	n := int(min(int64(len(in)), s.left))
	p = in[:n]
	s.buf.left = in[n:]
	s.left -= int64(n)
	ws.Cipher(p, s.mask, int(s.maskAt))
	s.maskAt = uint8((int(s.maskAt) + n) & 3)
	end = s.left == 0
	s.inside = !end
	return p, end
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

// data adds the next part of a message to payloads, which are in front of it in
// the same buffer. It reports false, and uses nothing up, where that is not text.
func (s *socket) data(payloads *[]byte) bool {
	before := s.reader
	left := s.buf.left
	p, end := s.unmask()
	if s.text && !s.runes.check(p, end && s.fin) {
		ws.Cipher(p, before.mask, int(before.maskAt))
		s.reader, s.buf.left = before, left
		return false
	}
	if len(*payloads) == 0 {
		*payloads = p
	} else {
		*payloads = append(*payloads, p...)
	}
	return true
}

// give gives payloads to the App, and empties them.
func (s *socket) give(payloads *[]byte) progress {
	c, p := s.conn, *payloads
	*payloads = nil
	if len(p) == 0 || c.end.Load() != nil {
		return needMore
	}
	if !c.handler.Receive(p[:len(p):len(p)], true) {
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
