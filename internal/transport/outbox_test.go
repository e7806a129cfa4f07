package transport

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// copied builds a frame in memory, which is to be used again.
func copied(memory []byte, payload string) Frame {
	return BuildFrame(append(memory[:headroom], payload...), false).As(KindCall)
}

// What is sent as a copy arrives in its order, among frames that others send too and
// more than the system takes at once, whatever becomes of the memory that it was in.
func TestCopiesArriveInOrderWhateverBecomesOfTheirMemory(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		o := defaults()
		o.TransportMaxBufferSize = 0
		n := serve(t, o, nil)
		p := n.upgrade("/hub")
		a := n.app()
		var want []string
		memory := NewCopyBuffer()
		for i := range 2000 {
			size := r.IntN(200)
			switch r.IntN(40) {
			case 0:
				size = CopyLimit - headroom + r.IntN(20)
			case 1:
				size = r.IntN(CopyLimit + chunkSize)
			case 2:
				a.conn.Uncork()
			case 3:
				a.conn.Cork()
			}
			payload := strings.Repeat(string(rune('a'+i%26)), size)
			want = append(want, payload)
			if r.IntN(8) == 0 {
				_ = a.conn.Send(text(payload))
				continue
			}
			f := copied(memory, payload)
			if err := a.conn.SendCopy(f); err != nil {
				t.Fatal(err)
			}
			clear(memory[:cap(memory)])
		}
		a.conn.Uncork()
		for i, payload := range want {
			if first, got := p.frame(); first != opText || got != payload {
				t.Fatalf("seed %d: frame %d is %#x of %d bytes %.20q, want %d bytes %.20q", seed, i, first, len(got), got, len(payload), payload)
			}
		}
	}
}

// A client for which something waits already is no reason for a chunk of its own.
func TestCopiesThatWaitTakeLittleMoreMemoryThanTheirBytes(t *testing.T) {
	q := outbox{behindAt: FreeBytes}
	memory := NewCopyBuffer()
	waits, bytes := 0, 0
	for range 100 {
		if !q.addCopy(copied(memory, "short")) {
			q.add(text("short"))
		}
		q.add(text("of another sender"))
	}
	for _, f := range q.frames {
		waits, bytes = waits+cap(f.buf), bytes+len(f.buf)
	}
	if waits > chunkSize+3*bytes {
		t.Errorf("%d bytes wait in %d bytes of memory", bytes, waits)
	}
	for range 100 {
		q.addCopy(copied(memory, "short"))
	}
	if n := len(q.frames); n != 200 {
		t.Errorf("%d frames wait, want 200", n)
	}
	for size := chunkSize; size <= CopyLimit-headroom; size += chunkSize / 8 {
		q := outbox{behindAt: FreeBytes}
		if !q.addCopy(copied(memory, strings.Repeat("x", size))) {
			t.Fatalf("%d bytes are not copied", size)
		}
		if waits := cap(q.frames[0].buf); waits > 2*size+chunkSize {
			t.Errorf("%d bytes wait in %d bytes of memory", size, waits)
		}
	}
}

// A sender that would have to wait is told so, and what it sends is not queued.
func TestACopyThatWouldHaveToWaitIsNotQueued(t *testing.T) {
	o := defaults()
	o.TransportMaxBufferSize = 10
	n := serve(t, o, nil)
	p := n.upgrade("/hub")
	a := n.app()
	a.conn.Cork()
	memory := NewCopyBuffer()
	if err := a.conn.SendCopy(copied(memory, "enough to wait")); err != nil {
		t.Fatal(err)
	}
	if err := a.conn.SendCopy(copied(memory, "more")); err != ErrWouldWait {
		t.Errorf("a copy behind that: %v, want %v", err, ErrWouldWait)
	}
	a.conn.Uncork()
	p.expect(opText, "enough to wait")
	a.conn.Finish()
	p.expect(opClose, `1000 ""`)
	if err := a.conn.SendCopy(copied(memory, "late")); err != ErrClosed {
		t.Errorf("a copy after the end: %v, want %v", err, ErrClosed)
	}
}
