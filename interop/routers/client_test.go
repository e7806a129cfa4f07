package routers

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// limit bounds a whole exchange.
const limit = 20 * time.Second

const (
	end       = "\x1e"
	handshake = `{"protocol":"json","version":1}` + end
	call      = `{"type":1,"invocationId":"1","target":"Echo","arguments":["hello"]}` + end
	answer    = `{"type":3,"invocationId":"1","result":"hello"}` + end
)

// transports play one call. Each returns what the server has said until it is
// answered, or until the server ends the exchange.
var transports = map[string]func(t *testing.T, hub string) (string, error){
	"WebSockets":       overWebSockets,
	"ServerSentEvents": overServerSentEvents,
	"LongPolling":      overLongPolling,
}

// client returns an HTTP client of its own, whose connections end with the test.
func client(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: limit}
}

// negotiate returns a connection token.
func negotiate(c *http.Client, hub string) (string, error) {
	response, err := c.Post(hub+"/negotiate?negotiateVersion=1", "text/plain", nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var body struct{ ConnectionToken string }
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("negotiate: %s", response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&body)
	return hub + "?id=" + url.QueryEscape(body.ConnectionToken), err
}

func post(c *http.Client, address, message string) error {
	response, err := c.Post(address, "text/plain", strings.NewReader(message))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("POST: %s", response.Status)
	}
	return nil
}

func overLongPolling(t *testing.T, hub string) (string, error) {
	c := client(t)
	address, err := negotiate(c, hub)
	if err != nil {
		return "", err
	}
	poll := func() (string, error) {
		response, err := c.Get(address)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("poll: %s", response.Status)
		}
		return string(body), err
	}
	if _, err := poll(); err != nil { // the first says that the connection is open
		return "", err
	}
	if err := post(c, address, handshake+call); err != nil {
		return "", err
	}
	var said string
	for !strings.Contains(said, answer) {
		more, err := poll()
		if err != nil {
			return said, err
		}
		said += more
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, address, nil)
	if err != nil {
		return said, err
	}
	response, err := c.Do(request)
	if err != nil {
		return said, err
	}
	return said, response.Body.Close()
}

func overServerSentEvents(t *testing.T, hub string) (string, error) {
	c := client(t)
	address, err := negotiate(c, hub)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", "text/event-stream")

	response, err := c.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		return "", fmt.Errorf("GET: %s, %q", response.Status, kind)
	}
	if err := post(c, address, handshake+call); err != nil {
		return "", err
	}
	return until(response.Body)
}

// until reads up to the answer.
func until(r io.Reader) (string, error) {
	var said bytes.Buffer
	piece := make([]byte, 4096)
	for !strings.Contains(said.String(), answer) {
		n, err := r.Read(piece)
		said.Write(piece[:n])
		if err != nil {
			return said.String(), err
		}
	}
	return said.String(), nil
}

func overWebSockets(t *testing.T, hub string) (string, error) {
	address, err := url.Parse(hub)
	if err != nil {
		return "", err
	}
	conn, err := net.DialTimeout("tcp", address.Host, limit)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://%s\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", address.Path, address.Host, address.Host)
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return "", fmt.Errorf("upgrade: %s", response.Status)
	}
	for _, message := range []string{handshake, call} { // shorter than 126 bytes, with a mask of zeros
		if _, err := conn.Write(append([]byte{0x81, 0x80 | byte(len(message)), 0, 0, 0, 0}, message...)); err != nil {
			return "", err
		}
	}
	return until(frames{r})
}

// frames reads the payload of short frames.
type frames struct{ r *bufio.Reader }

func (f frames) Read(p []byte) (int, error) {
	var head [2]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, err
	}
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		if _, err := io.ReadFull(f.r, long[:]); err != nil {
			return 0, err
		}
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	if n > len(p) {
		return 0, fmt.Errorf("a frame of %d bytes", n)
	}
	return io.ReadFull(f.r, p[:n])
}
