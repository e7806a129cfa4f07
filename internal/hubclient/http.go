package hubclient

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// A poster is the sending half of Server-Sent Events and long polling.
type poster struct {
	conn    *Conn
	address string
	mu      sync.Mutex // one POST at a time: they must not overtake each other
}

func newPoster(c *Conn) (*poster, error) {
	address, err := c.connectAddress()
	return &poster{conn: c, address: address}, err
}

func (p *poster) write(message []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.conn.do(p.conn.ctx, http.MethodPost, p.address, message)
	return err
}

// polls is long polling.
type polls struct {
	*poster
	leaving atomic.Bool
}

// openPolls sends the first poll, which is answered at once.
func openPolls(c *Conn) (*polls, error) {
	p, err := newPoster(c)
	if err != nil {
		return nil, err
	}
	_, err = c.do(c.ctx, http.MethodGet, p.address, nil)
	return &polls{poster: p}, err
}

func (p *polls) read() ([]byte, error) {
	for {
		body, err := p.conn.do(p.conn.ctx, http.MethodGet, p.address, nil)
		if err != nil {
			if p.leaving.Load() {
				err = io.EOF // the server may have forgotten the connection by now
			}
			return nil, err
		}
		if len(body) > 0 {
			return body, nil
		}
	}
}

func (p *polls) farewell() error {
	p.leaving.Store(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.conn.ctx), farewellTime)
	defer cancel()
	_, err := p.conn.do(ctx, http.MethodDelete, p.address, nil)
	return err
}

func (p *polls) close() error { return nil }

// events is Server-Sent Events.
type events struct {
	*poster
	body    io.ReadCloser
	in      *bufio.Reader
	leaving atomic.Bool
}

func openEvents(c *Conn) (*events, error) {
	p, err := newPoster(c)
	if err != nil {
		return nil, err
	}
	r, err := c.request(c.ctx, http.MethodGet, p.address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if err = refused(r, answer); err == nil && !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		err = fmt.Errorf("hubclient: events of type %q", answer.Header.Get("Content-Type"))
	}
	if err != nil {
		_ = answer.Body.Close() // err says more
		return nil, err
	}
	return &events{poster: p, body: answer.Body, in: bufio.NewReader(answer.Body)}, nil
}

// read returns the data of the next event, whose lines are joined.
func (e *events) read() ([]byte, error) {
	var data []byte
	for found := false; ; {
		line, err := e.in.ReadBytes('\n')
		if err != nil {
			if e.leaving.Load() {
				err = io.EOF
			}
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch value, isData := bytes.CutPrefix(line, []byte("data:")); {
		case isData:
			if found {
				data = append(data, '\n')
			}
			data, found = append(data, bytes.TrimPrefix(value, []byte(" "))...), true
		case len(line) == 0 && found && len(data) > 0:
			return data, nil
		case len(line) == 0:
			data, found = nil, false
		}
	}
}

// farewell ends the events: the server sees that its client is gone.
func (e *events) farewell() error {
	e.leaving.Store(true)
	e.conn.stop()
	return nil
}

func (e *events) close() error { return e.body.Close() }
