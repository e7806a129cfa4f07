package ws

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gobwas/ws"
)

func TestHeadersThatMayComeAreThoseOfAnotherImplementation(t *testing.T) {
	for op := range OpCode(16) {
		for flags := range 32 {
			for _, length := range []int64{0, 125, 126, 1 << 40} {
				h := Header{OpCode: op, Fin: flags&1 != 0, Masked: flags&2 != 0, Rsv: byte(flags & 4), Length: length}
				s, other := StateServerSide, ws.StateServerSide
				if flags&8 != 0 {
					s, other = s.Set(StateFragmented), other.Set(ws.StateFragmented)
				}
				if flags&16 != 0 { // Clear undoes Set
					s, other = s.Clear(StateFragmented), other.Clear(ws.StateFragmented)
				}
				got := CheckHeader(h, s)
				want := ws.CheckHeader(ws.Header{OpCode: ws.OpCode(op), Fin: h.Fin, Masked: h.Masked, Rsv: h.Rsv, Length: length}, other)
				if (got == nil) != (want == nil) {
					t.Errorf("CheckHeader(%+v, %d) = %v, want %v", h, s, got, want)
				}
			}
		}
	}
}

func TestMasksAreThoseOfAnotherImplementation(t *testing.T) {
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	for size := range 200 {
		for at := range 9 {
			got, want := make([]byte, size), make([]byte, size)
			for i := range size {
				got[i], want[i] = byte(i), byte(i)
			}
			Cipher(got, mask, at)
			ws.Cipher(want, mask, at)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes at %d\n got: % x\nwant: % x", size, at, got, want)
			}
		}
	}
}

func BenchmarkCipher(b *testing.B) {
	for _, size := range []int{16, 60, 130, 1000, 16 << 10} {
		p, mask := make([]byte, size), [4]byte{1, 2, 3, 4}
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				Cipher(p, mask, 0)
			}
		})
	}
}
