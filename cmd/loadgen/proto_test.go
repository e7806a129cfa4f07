//go:build linux

package main

import (
	"encoding/binary"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]message{
		`{"type":3,"invocationId":"00000012","result":"x"}`:            {3, 12, true, false},
		`{"invocationId":"00000012","error":"no","type":3}`:            {3, 12, true, true},
		`{"type": 3, "invocationId":"7","result":null}`:                {3, 7, true, false},
		`{"type":1,"target":"receive","arguments":["@ts=;"]}`:          {1, 0, false, false},
		`{"type":7,"error":"Connection closed","allowReconnect":true}`: {7, 0, false, true},
		`{"type":6}`: {6, 0, false, false},
		`{}`:         {-1, 0, false, false},
	} {
		if got := parseJSON([]byte(in)); got != want {
			t.Errorf("%s: %+v, want %+v", in, got, want)
		}
	}
	mp := func(b ...byte) []byte { return b }
	for _, c := range []struct {
		in   []byte
		want message
	}{
		{mp(0x95, 3, 0x80, 0xa2, '1', '2', 3, 0xa1, 'x'), message{3, 12, true, false}},
		{mp(0x95, 3, 0x81, 0xa1, 'h', 0xa1, 'v', 0xd9, 1, '9', 1, 0xa1, 'x'), message{3, 9, true, true}},
		{mp(0x94, 3, 0x80, 0xa1, '5', 2), message{3, 5, true, false}},
		{mp(0x91, 6), message{6, 0, false, false}},
		{mp(0x96, 1, 0x80, 0xc0, 0xa1, 'm', 0x90, 0x90), message{1, 0, false, false}},
		{mp(0x95, 3, 0x80), message{3, 0, false, false}},
		{nil, message{kind: -1}},
	} {
		if got := parseMsgPack(c.in); got != c.want {
			t.Errorf("% x: %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestTheEndOfEveryKindOfMessagePackValue(t *testing.T) {
	for _, value := range []string{
		"\x00", "\xff", "\xc0", "\xc3", "\xcc\x01", "\xcd\x01\x02", "\xce1234", "\xcf12345678", "\xd01", "\xd112", "\xd21234", "\xd312345678",
		"\xca1234", "\xcb12345678", "\xa3abc", "\xd9\x03abc", "\xda\x00\x03abc", "\xdb\x00\x00\x00\x03abc",
		"\xc4\x03abc", "\xc5\x00\x03abc", "\xc6\x00\x00\x00\x03abc", "\xc7\x03\xffabc", "\xc8\x00\x03\xffabc", "\xc9\x00\x00\x00\x03\xffabc",
		"\xd4\xff1", "\xd5\xff12", "\xd6\xff1234", "\xd7\xff12345678", "\xd8\xff0123456789abcdef",
		"\x93\x01\xa1a\xc0", "\x92\x92\x01\x02\x03", "\xdc\x00\x02\x01\x02", "\xdd\x00\x00\x00\x02\x01\x02",
		"\x81\xa1a\x91\x01", "\xde\x00\x01\xa1a\x01", "\xdf\x00\x00\x00\x01\xa1a\x01",
	} {
		b := []byte("." + value + "\x01")
		if got := mpSkip(b, 1); got != 1+len(value) {
			t.Errorf("mpSkip(% x) = %d, want %d", value, got, 1+len(value))
		}
	}
	for _, cut := range []string{"", "\xc1", "\xd9", "\x92\x01", "\xdd\x00\x00", "\xdd\xff\xff\xff\xff\x01"} {
		if got := mpSkip([]byte(cut), 0); got != -1 {
			t.Errorf("mpSkip(% x) = %d, want -1", cut, got)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, p := range []protocol{protoJSON, protoMsgPack} {
		for _, n := range []int{30, 60, 200, 70000} {
			tm := p.invocation(true, "Echo", text(n))
			f := tm.appendTo(nil, 0xa1b2c3d4, 1234, 0x0123456789abcdef, 77)
			mask := binary.LittleEndian.Uint32(f[tm.hdrLen-4:])
			maskFrame(f, tm.hdrLen, mask) // back to plain
			if len(f)-tm.hdrLen != tm.recLen {
				t.Fatalf("length %d, want %d", len(f)-tm.hdrLen, tm.recLen)
			}
			s := string(f[tm.hdrLen:])
			if !strings.Contains(s, "00001234") || len(text(n)) != n {
				t.Fatalf("%v %d: %q", p, n, s[:80])
			}
			ts, seq, ok := stamp([]byte(s))
			if !ok || ts != 0x0123456789abcdef || seq != 77 {
				t.Fatalf("stamp %x %d %v", ts, seq, ok)
			}
		}
	}
}

func TestHist(t *testing.T) {
	var h hist
	for i := int64(1); i <= 100000; i++ {
		h.add(i * 1000)
	}
	for q, want := range map[float64]float64{.5: 50000, .99: 99000, .999: 99900} {
		if got := h.q(q); got < want*.98 || got > want*1.02 {
			t.Errorf("q%v = %v, want about %v", q, got, want)
		}
	}
}

// A message cut anywhere, across frames and reads, is still seen once.
func TestStream(t *testing.T) {
	r := &run{proto: protoJSON}
	w := &worker{r: r}
	rec := `{"type":6}` + "\x1e" + `{"type":6}` + "\x1e"
	for cut := 1; cut < len(rec); cut++ {
		c := &conn{}
		w.stream(c, []byte(rec[:cut]))
		w.stream(c, []byte(rec[cut:]))
	}
	if got, want := w.pings.Load(), uint64(2*(len(rec)-1)); got != want {
		t.Errorf("%d messages, want %d", got, want)
	}
	wire := []byte{0x01, 5, '{', '"', 't', 'y', 'p', 0x80, 6, 'e', '"', ':', '6', '}', 0x1e, 0x81, 126, 0}
	c := &conn{}
	if rest := w.frames(c, wire); len(rest) != 3 || len(c.rec) != 0 {
		t.Errorf("rest %d, pending %d", len(rest), len(c.rec))
	}
	if w.odd.Load() != 0 {
		t.Errorf("odd messages: %q", r.notes)
	}
}
