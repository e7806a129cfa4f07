package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

func TestRawConnectionsEndAsHubsDo(t *testing.T) {
	const upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	const stream = "Accept: text/event-stream\r\n"
	hangUp := func(c *rawClient) { _ = c.conn.Close() }
	for _, test := range []struct {
		name, headers string
		end           func(*rawClient)
		want          error // of Read; nil: some other error
	}{
		{"WebSocket, close frame", upgrade, func(c *rawClient) { c.write("\x88\x82\x00\x00\x00\x00\x03\xe8") }, io.EOF},
		{"WebSocket, the client goes away", upgrade, hangUp, io.EOF},
		{"WebSocket, in the middle of a frame", upgrade, func(c *rawClient) { c.write("\x81\x85\x00\x00\x00\x00he"); hangUp(c) }, io.EOF},
		{"WebSocket, a broken frame", upgrade, func(c *rawClient) { c.write("\x81\x01x") }, nil},
		{"WebSocket, Close", upgrade, func(c *rawClient) { _ = c.server.Close() }, server.ErrConnectionClosed},
		{"WebSocket, Shutdown", upgrade, (*rawClient).shutdown, io.EOF},
		{"SSE, the client goes away", stream, hangUp, io.EOF},
		{"SSE, Close", stream, func(c *rawClient) { _ = c.server.Close() }, server.ErrConnectionClosed},
		{"SSE, Shutdown", stream, (*rawClient).shutdown, io.EOF},
		{"long polling, DELETE", "", func(c *rawClient) { c.request("DELETE", "") }, io.EOF},
		{"long polling, the client does not come back", "", hangUp, io.EOF},
		{"long polling, Close", "", func(c *rawClient) { _ = c.server.Close() }, server.ErrConnectionClosed},
		{"long polling, Shutdown", "", (*rawClient).shutdown, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log safeBuffer
			conns, ended := make(chan *server.Connection, 1), make(chan error, 1)
			handler := server.NewConnectionHandler(func(c *server.Connection) error {
				conns <- c
				_, err := io.ReadFull(c, make([]byte, 100))
				if errors.Is(err, io.ErrUnexpectedEOF) {
					err = io.EOF // io.ReadFull's word for it
				}
				ended <- err
				return err
			}, &server.ConnectionOptions{
				Endpoint: server.EndpointOptions{DisconnectTimeout: 5 * time.Second},
				Logger:   slog.New(slog.NewTextHandler(&log, nil)),
			})
			node := httptest.NewServer(handler)
			defer node.Close()
			defer func() { _ = handler.Shutdown(context.Background()) }()
			c := newRawClient(t, node, handler)
			c.request("GET", test.headers)
			c.server = <-conns
			test.end(c)
			err := <-ended
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Read = %v, want %v", err, test.want)
			}
			if test.want == nil && (err == nil || errors.Is(err, io.EOF)) {
				t.Errorf("Read = %v, want an error", err)
			}
			_ = handler.Shutdown(context.Background())
			if bytes.Contains([]byte(log.String()), []byte("level=ERROR")) {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// A rawClient is one client of a ConnectionHandler.
type rawClient struct {
	t       *testing.T
	conn    net.Conn
	url     string
	handler *server.ConnectionHandler
	server  *server.Connection // the other side
}

func newRawClient(t *testing.T, node *httptest.Server, handler *server.ConnectionHandler) *rawClient {
	t.Helper()
	var n struct{ ConnectionToken string }
	answer, err := http.Post(node.URL+"/negotiate?negotiateVersion=1", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(&n); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", node.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawClient{t: t, conn: conn, url: "/raw?id=" + n.ConnectionToken, handler: handler}
}

func (c *rawClient) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// request sends a request and reads the head of its answer.
func (c *rawClient) request(method, headers string) {
	c.t.Helper()
	c.write(method + " " + c.url + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil || answer.StatusCode >= 400 {
		c.t.Fatalf("%s: %v, %v", method, answer, err)
	}
}

func (c *rawClient) shutdown() { go func() { _ = c.handler.Shutdown(context.Background()) }() }

// A safeBuffer can be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
