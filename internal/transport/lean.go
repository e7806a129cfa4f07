package transport

import (
	"encoding/binary"
	"io"
	"net"
)

// A connection of crypto/tls keeps the buffer that its largest record was read into,
// with 512 bytes more. As a rule that is the client's first message: with a key of
// post-quantum cryptography it makes the buffer 2 KB, where 576 bytes do for small
// records. TLS lets a message of the handshake come in several records (RFC 8446,
// section 5.1) and does not sign how it was divided; so a leanConn divides the first
// one before crypto/tls reads it.

// LeanTLS returns a listener for a server of TLS in place of l.
func LeanTLS(l net.Listener) net.Listener {
	if _, is := l.(leanListener); is {
		return l
	}
	return leanListener{l}
}

type leanListener struct{ net.Listener }

func (l leanListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, is := conn.(*net.TCPConn); is && err == nil {
		return &leanConn{TCPConn: tcp}, nil
	}
	return conn, err
}

// A leanConn divides the first record that is read from it. What it keeps is 16 bytes.
type leanConn struct {
	*net.TCPConn
	left    uint16  // of the first record: not read yet
	most    uint16  // of it in one of ours
	version [2]byte // of it
	begun   bool
}

// Of a record of TLS: RFC 8446, section 5.1.
const (
	recordHead      = 5 // type, version, length
	recordHandshake = 22
	mostInRecord    = 1 << 14
)

// Read is called by crypto/tls with space for 512 bytes at least.
func (c *leanConn) Read(p []byte) (int, error) {
	first := !c.begun
	c.begun = true
	if len(p) <= recordHead || !first && c.left == 0 {
		return c.TCPConn.Read(p)
	}
	head, body := p[:recordHead], p[recordHead:]
	if first {
		if n, err := io.ReadFull(c.TCPConn, head); err != nil {
			return n, ofRead(err)
		}
		length := binary.BigEndian.Uint16(head[3:])
		if head[0] != recordHandshake || length > mostInRecord {
			return recordHead, nil // crypto/tls says what is wrong with it
		}
		c.left, c.most, c.version = length, length, [2]byte(head[1:])
		for int(c.most) > len(body) { // halves: what crypto/tls puts them together in doubles
			c.most = (c.most + 1) / 2
		}
	}
	size := min(int(c.left), int(c.most), len(body))
	head[0], head[1], head[2] = recordHandshake, c.version[0], c.version[1]
	binary.BigEndian.PutUint16(head[3:], uint16(size))
	c.left -= uint16(size)
	n, err := io.ReadFull(c.TCPConn, body[:size]) // whole: for a part the buffer would grow
	return recordHead + n, ofRead(err)
}

// ofRead is the error of a Read for that of io.ReadFull. No handshake goes on after one.
func ofRead(err error) error {
	if err == io.ErrUnexpectedEOF {
		return io.EOF
	}
	return err
}
