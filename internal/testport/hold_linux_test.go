package testport

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestAHeldPortIsForServersOfTheTestOnly(t *testing.T) {
	port := Hold(t)
	address := "127.0.0.1:" + port
	for range 3 { // as a server that is started again
		if c, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			if err == nil {
				_ = c.Close()
			}
			t.Errorf("without a server: %v, want that it is refused", err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	held, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := (&net.Dialer{LocalAddr: held}).Dial("tcp", server.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		if err == nil {
			_ = c.Close()
		}
		t.Errorf("a connection from the port: %v, want that the address is in use", err)
	}
	if other := Hold(t); other == port {
		t.Errorf("port %s twice", port)
	}
}
