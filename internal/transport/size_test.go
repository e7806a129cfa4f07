package transport

import (
	"testing"
	"unsafe"
)

// What an idle WebSocket keeps, beside its goroutine and what net and net/http
// have: with 50,000 of them each size class more is a megabyte. A field that
// only some connections need belongs behind one of Conn's pointers.
func TestSizes(t *testing.T) {
	sizes := []struct {
		what      string
		got, most uintptr // most is the size class of the allocator
	}{
		{"Conn: 72 are the outbox, 48 the kept request, 16 who the client is", unsafe.Sizeof(Conn{}), 256},
		{"socket: 48 are the reader, 40 the parking", unsafe.Sizeof(socket{}), 144},
	}
	for _, s := range sizes {
		if unsafe.Sizeof(uintptr(0)) == 8 && s.got > s.most {
			t.Errorf("%s: %d bytes, want at most %d", s.what, s.got, s.most)
		}
	}
}
