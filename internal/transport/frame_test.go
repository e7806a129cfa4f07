package transport

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestFrameIsOneWholeWebSocketMessage(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 100_000} {
		for _, binary := range []bool{false, true} {
			payload := strings.Repeat("x", size)
			f := BuildFrame(append(NewFrameBuffer(size), payload...), binary)
			if string(f.Payload()) != payload || f.Len() != size {
				t.Errorf("payload of %d bytes has become %d, Len() = %d", size, len(f.Payload()), f.Len())
			}
			r := bufio.NewReader(bytes.NewReader(f.WebSocket()))
			h, err := ws.ReadHeader(r)
			want := ws.OpText
			if binary {
				want = ws.OpBinary
			}
			if err != nil || !h.Fin || h.Masked || h.Rsv != 0 || h.OpCode != want || h.Length != int64(size) {
				t.Errorf("header of %d bytes = %+v, %v", size, h, err)
			}
			if rest := len(f.WebSocket()) - ws.HeaderSize(h); rest != size {
				t.Errorf("%d bytes behind the header, want %d", rest, size)
			}
		}
	}
}
