package transport

import (
	"bufio"
	"bytes"
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
		_, _ = rw.Write(switching(w.Header(), r.Header["Sec-Websocket-Key"][0], protocol)) // Flush has its error
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

// ofBodies are the headers that say something about the body, of which a 101
// has none. Some compressors set them before the handler runs.
var ofBodies = map[string]bool{
	"Content-Length": true, "Content-Encoding": true, "Content-Type": true, "Transfer-Encoding": true, "Trailer": true,
}

// switching returns the head of a 101 with what others have put into header.
func switching(header http.Header, key, protocol string) []byte {
	h := header.Clone()
	if h == nil {
		h = http.Header{}
	}
	for _, own := range []string{"Upgrade", "Connection", "Sec-Websocket-Accept", "Sec-Websocket-Protocol"} {
		delete(h, own)
	}
	h["Upgrade"] = []string{"websocket"}
	h["Connection"] = []string{"Upgrade"}
	h["Sec-WebSocket-Accept"] = []string{acceptKey(key)}
	if protocol != "" {
		h["Sec-WebSocket-Protocol"] = []string{protocol}
	}
	if _, ok := h["Date"]; !ok {
		h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.WriteSubset(&b, ofBodies) // into memory
	b.WriteString("\r\n")
	return b.Bytes()
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
