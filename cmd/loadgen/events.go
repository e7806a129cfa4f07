//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// openEvents opens an event stream on the socket, and a connection to the hub. What the
// client says goes by POSTs.
func (t *target) openEvents(socket net.Conn, c *conn, u *url.URL) error {
	c.mask, c.posts = 0, &posts{t: t, url: u.String()} // a mask of zeros leaves a message as it is
	s := &setup{socket: socket, buf: make([]byte, 0, 4096)}
	var req bytes.Buffer
	fmt.Fprintf(&req, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n", u.RequestURI(), u.Host)
	for _, h := range t.headers {
		req.WriteString(h + "\r\n")
	}
	req.WriteString("\r\n")
	if err := s.write(req.Bytes()); err != nil {
		return err
	}
	if err := s.until(headEnd); err != nil {
		return err
	}
	if !bytes.HasPrefix(s.buf, []byte("HTTP/1.1 200")) || !bytes.Contains(bytes.ToLower(s.buf), []byte("transfer-encoding: chunked")) {
		return fmt.Errorf("event stream refused: %.300s", s.buf)
	}
	if err := c.posts.send(unframed(t.hs)); err != nil {
		return err
	}
	s.skip(bytes.Index(s.buf, []byte(headEnd)) + len(headEnd))
	for {
		rest, err := c.dechunk(s.buf)
		if err != nil {
			return err
		}
		s.skip(len(s.buf) - len(rest))
		if _, after, accepted := bytes.Cut(c.lines, []byte("data: {}\x1e\r\n\r\n")); accepted {
			c.lines = append(c.lines[:0], after...)
			c.pend = append(c.pend, s.buf...)
			return nil
		}
		if err := s.more(); err != nil {
			return fmt.Errorf("handshake, after %q: %w", c.lines, err)
		}
	}
}

// posts sends what the client of an event stream says, in order: one request at a time, with
// all that has come meanwhile, as Microsoft's client in JavaScript does.
type posts struct {
	t    *target
	url  string
	note func(f string, a ...any)

	mu     sync.Mutex
	queued []byte
	runs   bool
}

func (p *posts) add(message []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queued = append(p.queued, message...)
	if !p.runs {
		p.runs = true
		p.t.posting.Go(p.run)
	}
}

func (p *posts) run() {
	for {
		p.mu.Lock()
		body := p.queued
		p.queued = nil
		p.runs = len(body) > 0
		p.mu.Unlock()
		if len(body) == 0 {
			return
		}
		if err := p.send(body); err != nil {
			p.note("%v", err)
		}
	}
}

func (p *posts) send(body []byte) error {
	req, err := http.NewRequest("POST", p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	p.t.addHeaders(req)
	r, err := p.t.hc.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != 200 {
		return errors.New("POST: " + r.Status)
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err
}

func (t *target) addHeaders(r *http.Request) {
	for _, h := range t.headers {
		k, v, _ := strings.Cut(h, ":")
		r.Header.Set(k, strings.TrimSpace(v))
	}
}

// unframed returns the payloads of WebSocket frames that are masked with zeros.
func unframed(b []byte) (payloads []byte) {
	for len(b) > 0 {
		n, header := frameSize(b)
		header += 4 // the mask
		payloads = append(payloads, b[header:header+n]...)
		b = b[header+n:]
	}
	return payloads
}

// events takes the whole chunks off b and returns the rest.
func (w *worker) events(c *conn, b []byte) []byte {
	rest, err := c.dechunk(b)
	if err != nil {
		w.bad.Add(1)
		w.r.note("%v", err)
	}
	w.lines(c)
	return rest
}

// dechunk takes the whole chunks off b, for c.lines, and returns the rest.
func (c *conn) dechunk(b []byte) (rest []byte, err error) {
	for {
		head := bytes.IndexByte(b, '\n')
		if head < 1 {
			return b, nil
		}
		n, ok := unhex(bytes.ToLower(b[:head-1]))
		end := head + 1 + int(n)
		switch {
		case !ok || n > 1<<30:
			return nil, fmt.Errorf("no chunk: %.100q", b)
		case n == 0:
			return nil, errors.New("the event stream has ended")
		case len(b) < end+2:
			return b, nil
		}
		c.lines = append(c.lines, b[head+1:end]...)
		b = b[end+2:]
	}
}

// lines takes the whole lines off c.lines.
func (w *worker) lines(c *conn) {
	rest := c.lines
	for {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok {
			break
		}
		if data, is := bytes.CutPrefix(line, []byte("data: ")); is {
			w.stream(c, data)
		}
		rest = after
	}
	c.lines = append(c.lines[:0], rest...)
}
