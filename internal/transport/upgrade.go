package transport

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// upgrade takes the TCP connection from the HTTP server and answers 101 on it.
// It does not use w for the answer: wrappers of middleware, gin's for one, hold
// the status back until the handler returns. What middleware has put into the
// headers is sent, too.
func (e *Endpoint) upgrade(w http.ResponseWriter, r *http.Request, protocol string) (*socket, error) {
	conn, rw, err := hijack(w)
	if err != nil {
		return nil, err
	}
	s := &socket{net: conn, raw: rawConn(conn)}
	if n := rw.Reader.Buffered(); n > 0 { // the client did not wait for the answer
		s.borrow()
		n, err = io.ReadFull(rw.Reader, s.buf.bytes[:min(n, len(s.buf.bytes))])
		s.buf.left = s.buf.bytes[:n]
	}
	if err == nil {
		// A client that has not read the answers before this one may keep the
		// write waiting. The HTTP server's own deadlines are lifted.
		_ = conn.SetDeadline(time.Time{})
		_ = conn.SetWriteDeadline(deadline(e.opts.TransportSendTimeout))
		writeSwitching(rw.Writer, w.Header(), r.Header["Sec-Websocket-Key"][0], protocol) // Flush has its error
		err = rw.Flush()
		_ = conn.SetWriteDeadline(time.Time{}) // without effect on a connection that is closed
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

// hijack takes the connection of w. Some wrappers panic where what they wrap
// cannot give it away.
func hijack(w http.ResponseWriter) (conn net.Conn, rw *bufio.ReadWriter, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v: %w", v, http.ErrNotSupported)
		}
	}()
	return http.NewResponseController(w).Hijack()
}

// notOfOthers are the headers of a 101 that nobody else sets: its own, and those
// that say something about the body, of which it has none. Some compressors set
// these before the handler runs.
var notOfOthers = map[string]bool{
	"Upgrade": true, "Connection": true, "Sec-Websocket-Accept": true, "Sec-Websocket-Protocol": true,
	"Sec-WebSocket-Accept": true, "Sec-WebSocket-Protocol": true,
	"Content-Length": true, "Content-Encoding": true, "Content-Type": true, "Transfer-Encoding": true, "Trailer": true,
}

// writeSwitching writes the head of a 101 with what others have put into header.
// Errors are those of the next Flush.
func writeSwitching(w *bufio.Writer, header http.Header, key, protocol string) {
	const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
	_, _ = w.WriteString(head)
	_, _ = w.WriteString(acceptKey(key))
	_, _ = w.WriteString("\r\n")
	if protocol != "" {
		_ = http.Header{"Sec-WebSocket-Protocol": {protocol}}.Write(w) // it is the hub's word: a line's end in it is a blank
	}
	if _, ok := header["Date"]; !ok {
		_, _ = w.WriteString("Date: ")
		_, _ = w.Write(time.Now().UTC().AppendFormat(w.AvailableBuffer(), http.TimeFormat))
		_, _ = w.WriteString("\r\n")
	}
	_ = header.WriteSubset(w, notOfOthers)
	_, _ = w.WriteString("\r\n")
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
