package hubclient

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// largestFrame bounds what one frame of the server may hold, in bytes.
const largestFrame = 1 << 20

// The opcodes of RFC 6455, section 5.2.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// A socket is the client's end of a WebSocket. One goroutine reads, any may
// write.
type socket struct {
	conn   net.Conn
	in     *bufio.Reader
	binary bool

	mu sync.Mutex // guards writing: a frame goes out whole
}

// upgrade makes the TCP connection a WebSocket. The key is no secret, and what
// a server makes of it is not looked at.
func (s *socket) upgrade(u *url.URL) error {
	r, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if err := r.Write(s.conn); err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.in, r)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the upgrade was answered with %s", answer.Status)
	}
	return nil
}

// write sends one message, text or binary. The mask is zero: it protects
// proxies, and there is none.
func (s *socket) write(message []byte) error {
	opcode := byte(opText)
	if s.binary {
		opcode = opBinary
	}
	return s.writeFrame(opcode, message)
}

func (s *socket) writeFrame(opcode byte, payload []byte) error {
	frame := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	frame = append(append(frame, 0, 0, 0, 0), payload...)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.conn.Write(frame)
	return err
}

// read appends the payload of the next data frame to buf. Frames of one
// message need not be told apart: hub messages have a framing of their own.
func (s *socket) read(buf []byte) ([]byte, error) {
	for {
		opcode, size, err := s.readHeader()
		if err != nil {
			return nil, err
		}
		start := len(buf)
		buf = append(buf, make([]byte, size)...)
		if _, err := io.ReadFull(s.in, buf[start:]); err != nil {
			return nil, err
		}
		switch opcode {
		case opClose:
			return nil, fmt.Errorf("hubclient: close frame %x", buf[start:])
		case opPing:
			if err := s.writeFrame(opPong, buf[start:]); err != nil {
				return nil, err
			}
			buf = buf[:start]
		case opPong:
			buf = buf[:start]
		default:
			return buf, nil
		}
	}
}

func (s *socket) readHeader() (opcode byte, size int, err error) {
	var header [8]byte
	if _, err := io.ReadFull(s.in, header[:2]); err != nil {
		return 0, 0, err
	}
	opcode, length := header[0]&0x0f, uint64(header[1])
	switch length {
	case 126:
		_, err = io.ReadFull(s.in, header[:2])
		length = uint64(binary.BigEndian.Uint16(header[:2]))
	case 127:
		_, err = io.ReadFull(s.in, header[:8])
		length = binary.BigEndian.Uint64(header[:8])
	}
	if err != nil {
		return 0, 0, err
	}
	if length > largestFrame {
		return 0, 0, errors.New("hubclient: a frame of more than 1 MiB")
	}
	return opcode, int(length), nil
}
