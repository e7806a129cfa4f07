package server

import (
	"net/http"
	"testing"
	"unsafe"
)

// What an idle client keeps, beside what package transport has: with 50,000 of them
// each size class more is a megabyte.
func TestAnIdleClientKeepsLittle(t *testing.T) {
	if got := unsafe.Sizeof(connection{}); unsafe.Sizeof(uintptr(0)) == 8 && got > 288 {
		t.Errorf("connection: %d bytes, want at most 288, the size class of the allocator", got)
	}
	nobodySignsIn := func(*http.Request) (User, error) { return User{}, nil }
	if n := testing.AllocsPerRun(100, func() { _, _ = askWho(nobodySignsIn, nil, 0, nil) }); n > 0 {
		t.Errorf("a user of whom nothing is known: %v allocations, want none", n)
	}
}
