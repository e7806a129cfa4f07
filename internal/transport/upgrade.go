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
		_ = conn.SetDeadline(time.Time{}) // the HTTP server's own; without effect on a connection that is closed, as below
		memory := scratches.Get().(*scratch)
		head := bytes.NewBuffer(memory.joined[:0])
		writeSwitching(head, w.Header(), r.Header["Sec-Websocket-Key"][0], protocol)
		memory.joined = head.Bytes()
		err = e.writeHead(s, rw.Writer, memory)
		scratches.Put(memory)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

// writeHead writes what was joined in memory, by w if it must wait. As a rule the system takes it at once, but a
// client that has not read the answers before this one may keep the write waiting.
func (e *Endpoint) writeHead(s *socket, w *bufio.Writer, memory *scratch) (err error) {
	n := 0
	if s.raw != nil {
		n, err = memory.raw.some(s.raw, memory.joined)
	}
	if err != nil || n == len(memory.joined) {
		return err
	}
	_ = s.net.SetWriteDeadline(deadline(e.opts.TransportSendTimeout))
	_, _ = w.Write(memory.joined[n:]) // Flush has its error
	err = w.Flush()
	_ = s.net.SetWriteDeadline(time.Time{})
	return err
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
func writeSwitching(w *bytes.Buffer, header http.Header, key, protocol string) {
	const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
	w.WriteString(head)
	w.WriteString(acceptKey(key))
	w.WriteString("\r\n")
	if protocol != "" {
		_ = http.Header{"Sec-WebSocket-Protocol": {protocol}}.Write(w) // it is the hub's word: a line's end in it is a blank
	}
	if _, ok := header["Date"]; !ok {
		w.WriteString("Date: ")
		w.Write(time.Now().UTC().AppendFormat(w.AvailableBuffer(), http.TimeFormat))
		w.WriteString("\r\n")
	}
	_ = header.WriteSubset(w, notOfOthers)
	w.WriteString("\r\n")
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
