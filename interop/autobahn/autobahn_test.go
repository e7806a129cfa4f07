package autobahn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A testCase is what a client sends and what it must hear.
type testCase struct {
	name string
	// writes are sent one by one.
	writes [][]byte
	// codes are the close codes that may end the connection. If there are none,
	// data and pongs must come; then the client closes with 1000, and so does
	// the server.
	codes []int
	data  []byte
	pongs []string
	// silent says that nothing may be echoed before the end.
	silent bool
}

func TestFamilies(t *testing.T) {
	addr := serve(t)
	for family, cases := range map[string][]testCase{
		"1 messages":      messages(),
		"2 pings":         pings(),
		"3 reserved bits": reservedBits(),
		"4 opcodes":       opcodes(),
		"5 fragments":     fragments(),
		"6 UTF-8":         texts(),
		"7 close":         closes(),
		"8 masks":         masks(),
	} {
		t.Run(family, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					play(t, addr, &c)
				})
			}
		})
	}
}

// serve serves an endpoint that sends bytes back, and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	echo := server.NewConnectionHandler(func(c *server.Connection) error {
		_, err := io.Copy(c, c)
		return err
	}, nil)
	mux := http.NewServeMux()
	server.Mount(mux, "/echo", echo)
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := echo.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return web.Listener.Addr().String()
}

// play plays one case on a connection of its own.
func play(t *testing.T, addr string, c *testCase) {
	conn, r := dial(t, addr)
	goodbye := func() {
		// The reader notices a server that has closed.
		_, _ = conn.Write(frame(0x88, []byte{3, 0xe8}))
	}
	if c.codes != nil {
		goodbye = func() {}
	}
	done := make(chan heard, 1)
	go func() { done <- hear(r, len(c.data), len(c.pongs), goodbye) }()
	for _, w := range c.writes {
		if _, err := conn.Write(w); err != nil {
			break // the server has refused what came before
		}
	}
	got := <-done
	if c.codes != nil {
		if !slices.Contains(c.codes, got.code) || !over(got.err) {
			t.Errorf("close %d, then %v, after %d bytes; want a close of %d", got.code, got.err, len(got.data), c.codes)
		}
		if c.silent && len(got.data) > 0 {
			t.Errorf("%d bytes came back, want none", len(got.data))
		}
		return
	}
	if !bytes.Equal(got.data, c.data) || !slices.Equal(got.pongs, c.pongs) {
		t.Errorf("%d bytes and pongs %q came back, want %d bytes and %q", len(got.data), got.pongs, len(c.data), c.pongs)
	}
	if got.code != 1000 || !errors.Is(got.err, io.EOF) {
		t.Errorf("close %d, then %v; want 1000, then the end", got.code, got.err)
	}
}
