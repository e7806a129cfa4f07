package wire_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

func TestConnectionDataCostsOneAllocationToReadAndNoneToWrite(t *testing.T) {
	m := &wire.ConnectionData{ConnectionID: "kYq7Zl0uPq1x9T0wYh3KdA4b2c1d0e9f", Payload: bytes.Repeat([]byte("x"), 1000), DataType: wire.DataInvocation, IsPartial: true}
	buf := make([]byte, 0, 2000)
	if n := testing.AllocsPerRun(100, func() { buf = wire.Append(buf[:0], m) }); n != 0 {
		t.Errorf("Append: %v allocations, want 0", n)
	}
	var got wire.Message
	if n := testing.AllocsPerRun(100, func() { got, _, _ = wire.Next(buf) }); n != 1 {
		t.Errorf("Next: %v allocations, want 1", n)
	}
	data := got.(*wire.ConnectionData)
	if data.ConnectionID != m.ConnectionID || &data.Payload[0] != &buf[bytes.Index(buf, []byte("xxx"))] {
		t.Error("the payload is not where it was read")
	}
	clear(buf)
	if data.ConnectionID != m.ConnectionID {
		t.Error("the id is not the message's own")
	}
	r := wire.Reader{}
	frame := wire.Append(nil, m)
	if n := testing.AllocsPerRun(100, func() {
		for range r.Messages(frame) {
		}
	}); n != 1 {
		t.Errorf("Reader: %v allocations, want 1", n)
	}
}

// A count that lies must not cost memory: no frame may make more than its bytes
// justify.
func TestLengthsThatLieCostNothing(t *testing.T) {
	for _, v := range recorded.Vectors(t, testdata+"azure-parsing.json") {
		buf := unhex(t, v.Hex)
		if len(buf) > 4096 {
			continue
		}
		if n := allocated(func() { _, _, _ = wire.Next(buf) }); n > 1<<16 {
			t.Errorf("%s: %d bytes for %d", v.Name, n, len(buf))
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzWire(f *testing.F) {
	for _, v := range recorded.Vectors(f, testdata+"azure-vectors.json") {
		if v.Type != 0 && len(v.Hex) < 2000 {
			f.Add(unhex(f, v.Hex))
		}
	}
	for i, v := range recorded.Vectors(f, testdata+"azure-parsing.json") {
		if i%7 == 0 && len(v.Hex) < 2000 {
			f.Add(unhex(f, v.Hex))
		}
	}
	f.Fuzz(func(t *testing.T, buf []byte) {
		whole := buf
		for len(buf) > 0 {
			m, n, err := wire.Next(buf)
			size, sizeErr := wire.FrameSize(buf, 0)
			switch {
			case n > len(buf), n == 0 && m != nil, n > 0 && n != size, (err == wire.ErrStuck) != (sizeErr != nil), m != nil && err != nil:
				t.Fatalf("%v, %d of %d bytes, %v; size %d, %v", m, n, len(buf), err, size, sizeErr)
			}
			if m != nil {
				// what decodes, encodes, and decodes to the same again
				if hello, ok := m.(*wire.HandshakeRequest); ok && hello.ConnectionType == wire.ConnectionDefault {
					hello.Target = "" // is read, and never written
				}
				frame := wire.Append(nil, m)
				back, n, err := wire.Next(frame)
				if err != nil || n != len(frame) || recorded.JSON(recorded.Members(back)) != recorded.JSON(recorded.Members(m)) {
					t.Fatalf("%+v\nencodes to %x,\nwhich is %+v, %d, %v", m, frame, back, n, err)
				}
			}
			if n == 0 {
				break
			}
			buf = buf[n:]
		}
		var a, b wire.Reader
		got := describe(&a, whole)
		var cut []string
		for i := range whole {
			cut = append(cut, describe(&b, whole[i:i+1])...)
			if len(cut) > 0 && cut[len(cut)-1] == wire.ErrStuck.Error() {
				break
			}
		}
		if len(got) != len(cut) {
			t.Fatalf("at once %q\nbyte by byte %q", got, cut)
		}
		for i := range got {
			if got[i] != cut[i] {
				t.Fatalf("at once %q\nbyte by byte %q", got, cut)
			}
		}
	})
}
