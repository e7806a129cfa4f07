package memnet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// connected returns both ends of a connection, and its link.
func connected(t *testing.T) (client, server net.Conn, link *Link) {
	t.Helper()
	l := Listen()
	link = l.Link("alice")
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	client, err := link.DialContext(t.Context(), "tcp", "anywhere:80")
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() {
		_, _, _ = client.Close(), server.Close(), l.Close()
		if n := l.Open(); n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
	return client, server, link
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if n, err := io.WriteString(c, text); n != len(text) || err != nil {
		t.Errorf("write of %d bytes = %d, %v", len(text), n, err)
	}
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("read %q, %v; want %q", got, err, want)
	}
}

func TestBytesArriveInOrderAndThenTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _ := connected(t)
		if LinkValue(server) != "alice" || server.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("the server sees %v from %v", LinkValue(server), server.RemoteAddr())
		}
		long := strings.Repeat("x", 3*bufferSize)
		go func() {
			write(t, client, "one ")
			write(t, client, long)
			_ = client.Close()
		}()
		read(t, server, "one "+long)
		if _, err := server.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to an end that is closed: %v", err)
		}
		if err := client.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestWhoWaitsIsEndedByADeadlineACloseOrACut(t *testing.T) {
	full := make([]byte, bufferSize+1)
	for name, test := range map[string]struct {
		end  func(client net.Conn, link *Link)
		want error
	}{
		"a deadline":                 {func(c net.Conn, _ *Link) { _ = c.SetDeadline(time.Now().Add(time.Second)) }, os.ErrDeadlineExceeded},
		"a deadline that has passed": {func(c net.Conn, _ *Link) { _ = c.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"a close":                    {func(c net.Conn, _ *Link) { _ = c.Close() }, net.ErrClosed},
		"a cut":                      {func(_ net.Conn, link *Link) { link.Cut() }, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _, link := connected(t)
				errs := make(chan error, 2)
				go func() {
					_, err := client.Read(make([]byte, 1))
					errs <- err
				}()
				go func() {
					_, err := client.Write(full)
					errs <- err
				}()
				synctest.Wait()
				test.end(client, link)
				for range 2 {
					if err := <-errs; !errors.Is(err, test.want) {
						t.Errorf("error %v, want %v", err, test.want)
					}
				}
			})
		})
	}
}

func TestALinkDelaysStopsAndBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, link := connected(t)
		start := time.Now()
		link.SetDelay(3 * time.Second)
		write(t, server, "late")
		read(t, client, "late")
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v, want 3 s", took)
		}
		link.SetDelay(0)
		link.SetReading(false)
		write(t, server, "kept back")
		_ = client.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a client that does not read: %v", err)
		}
		_ = client.SetReadDeadline(time.Time{})
		link.SetReading(true)
		read(t, client, "kept back")
		link.Cut()
		if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write after a cut: %v", err)
		}
		if _, err := link.DialContext(t.Context(), "", ""); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("dial after a cut: %v", err)
		}
		link.Restore()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := link.DialContext(ctx, "", ""); !errors.Is(err, context.Canceled) {
			t.Errorf("dial after Restore, which nobody accepts: %v", err)
		}
	})
}

func TestAListenerThatIsClosedRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Link(nil).DialContext(ctx, "", ""); !errors.Is(err, context.Canceled) {
			t.Errorf("nobody accepts: %v", err)
		}
		_ = l.Close()
		if _, err := l.Link(nil).DialContext(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial after Close: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		if n := l.Open(); n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
}
