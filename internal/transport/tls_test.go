package transport

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serveTLS is serve over TLS, where a socket can only be read and written
// blocking. listener makes the listener under TLS of one of TCP.
func serveTLS(t *testing.T, opts Options, listener func(net.Listener) net.Listener) *node {
	n, mux := newNode(t, opts, nil)
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Listener = listener(server.Listener)
	server.StartTLS()
	t.Cleanup(func() { stop(n.endpoint); server.Close() })
	config := server.Client().Transport.(*http.Transport).TLSClientConfig
	n.connect = func() (net.Conn, error) { return tls.Dial("tcp", server.Listener.Addr().String(), config) }
	return n
}

// bareTLS is TLS as it comes with net/http.
func bareTLS(l net.Listener) net.Listener { return l }

func TestWebSocketOverTLS(t *testing.T) {
	for _, r := range []Readers{ReadersGoroutine, ReadersPoll, ReadersAuto} {
		t.Run(fmt.Sprint(r), func(t *testing.T) { webSocketOverTLS(t, serveTLS(t, withReaders(r), bareTLS)) })
		t.Run(fmt.Sprint(r, " of a lean listener"), func(t *testing.T) { webSocketOverTLS(t, serveTLS(t, withReaders(r), LeanTLS)) })
	}
}

func webSocketOverTLS(t *testing.T, n *node) {
	p := n.upgrade("/hub")
	for i := range 100 {
		message := fmt.Sprint(i, strings.Repeat("x", i*100))
		p.send(opText, message)
		for got := ""; got != message; {
			_, part := p.frame()
			got += part
			if !strings.HasPrefix(message, got) {
				t.Fatalf("%d: echo %.40q", i, got)
			}
		}
	}
	a := n.app()
	_ = a.conn.Send(text("last"))
	a.conn.Finish()
	p.expect(opText, "last")
	p.expect(opClose, `1000 ""`)
	p.send(opClose, "\x03\xe8")
	p.expectEnd()
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

func withReaders(r Readers) Options {
	opts := defaults()
	opts.Readers = r
	opts.CloseTimeout = time.Minute
	return opts
}
