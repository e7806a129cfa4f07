//go:build linux

package main

import "bytes"

func unhex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

func undec(b []byte) (v uint32, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint32(c-'0')
	}
	return v, true
}

var bTS = []byte(markTS)

// stamp finds the sender's time and sequence number in a record.
func stamp(rec []byte) (ts int64, seq uint32, ok bool) {
	i := bytes.Index(rec, bTS)
	if i < 0 || len(rec) < i+4+16+1+8 {
		return 0, 0, false
	}
	t, ok1 := unhex(rec[i+4 : i+20])
	s, ok2 := unhex(rec[i+21 : i+29])
	return int64(t), uint32(s), ok1 && ok2
}

var (
	kType  = []byte(`"type":`)
	kID    = []byte(`"invocationId":"`)
	kError = []byte(`"error":"`)
)

// message is what the generator needs of one received hub message.
type message struct {
	kind  int // hub message type, -1 = not understood
	id    uint32
	hasID bool
	err   bool
}

// next finds the first hub message of b, and returns where it begins and ends;
// end is -1 if it is not there whole.
func (p protocol) next(b []byte) (begin, end int) {
	switch p {
	case protoCentrifuge:
		if end = bytes.IndexByte(b, '\n'); end < 0 && len(b) > 0 {
			end = len(b) // nothing follows the last one of a frame
		}
		return 0, end
	case protoJSON, protoRaw:
		return 0, bytes.IndexByte(b, 0x1e)
	}
	n := 0
	for k := 0; k < len(b) && k < 5; k++ {
		n |= int(b[k]&0x7f) << (7 * k)
		if b[k] < 0x80 {
			if begin, end = k+1, k+1+n; end > len(b) {
				end = -1
			}
			return begin, end
		}
	}
	return 0, -1
}

func (p protocol) parse(rec []byte) message {
	switch {
	case p == protoJSON:
		return parseJSON(rec)
	case p == protoMsgPack:
		return parseMsgPack(rec)
	case p == protoCentrifuge:
		return parseCentrifuge(rec)
	case len(rec) > 9 && rec[0] == 'E':
		m := message{kind: 3}
		m.id, m.hasID = undec(rec[1:9])
		return m
	default:
		return message{kind: 1}
	}
}

// parseCentrifuge reads an answer, or what was published, as a hub's message.
func parseCentrifuge(rec []byte) (m message) {
	rest, answer := bytes.CutPrefix(rec, []byte(`{"id":`))
	if !answer {
		if bytes.HasPrefix(rec, []byte(`{"push":`)) {
			return message{kind: 1}
		}
		return message{kind: -1}
	}
	if bytes.HasPrefix(rest, []byte(`1,"connect":`)) {
		return message{kind: 6}
	}
	digits, body, _ := bytes.Cut(rest, []byte(","))
	m = message{kind: 3, err: bytes.HasPrefix(body, []byte(`"error":`))}
	m.id, m.hasID = undec(digits)
	return m
}

func parseJSON(rec []byte) (m message) {
	m.kind = -1
	var p int
	if len(rec) > 8 && rec[1] == '"' && rec[2] == 't' && rec[7] == ':' {
		p = 8
	} else if i := bytes.Index(rec, kType); i >= 0 {
		p = i + len(kType)
	} else {
		return
	}
	for p < len(rec) && rec[p] == ' ' {
		p++
	}
	if p < len(rec) && rec[p] >= '0' && rec[p] <= '9' {
		m.kind = int(rec[p] - '0')
	}
	if m.kind == 3 {
		if i := bytes.Index(rec, kID); i >= 0 {
			b := rec[i+len(kID):]
			if j := bytes.IndexByte(b, '"'); j > 0 {
				m.id, m.hasID = undec(b[:j])
			}
		}
		m.err = bytes.Contains(rec, kError)
	} else if m.kind == 7 {
		m.err = bytes.Contains(rec, kError)
	}
	return
}

// mpFixed is the size of the MessagePack values that begin with 0xc0 to 0xdf
// and have no length, with that byte; 0 is none.
var mpFixed = [32]int{
	0x00: 1, 0x02: 1, 0x03: 1, // nil, false, true
	0x0a: 5, 0x0b: 9, // floats
	0x0c: 2, 0x0d: 3, 0x0e: 5, 0x0f: 9, // unsigned
	0x10: 2, 0x11: 3, 0x12: 5, 0x13: 9, // signed
	0x14: 3, 0x15: 4, 0x16: 6, 0x17: 10, 0x18: 18, // ext of fixed size
}

// mpLength is how many bytes the length of the others has.
var mpLength = [32]int{
	0x04: 1, 0x05: 2, 0x06: 4, // bin
	0x07: 1, 0x08: 2, 0x09: 4, // ext
	0x19: 1, 0x1a: 2, 0x1b: 4, // str
	0x1c: 2, 0x1d: 4, 0x1e: 2, 0x1f: 4, // array, map
}

// mpShape returns the size of the value at the beginning of b without the values
// in it, and how many those are. The size is -1 if b is cut, or no value.
func mpShape(b []byte) (size, items int) {
	c := b[0]
	switch {
	case c < 0x80 || c >= 0xe0:
		return 1, 0
	case c < 0x90:
		return 1, 2 * int(c&15)
	case c < 0xa0:
		return 1, int(c & 15)
	case c < 0xc0:
		return 1 + int(c&31), 0
	}
	if n := mpFixed[c-0xc0]; n > 0 {
		return n, 0
	}
	width, n := mpLength[c-0xc0], 0
	if width == 0 || len(b) < 1+width {
		return -1, 0
	}
	for _, x := range b[1 : 1+width] {
		n = n<<8 | int(x)
	}
	switch {
	case c >= 0xde:
		return 1 + width, 2 * n
	case c >= 0xdc:
		return 1 + width, n
	case c >= 0xc7 && c <= 0xc9:
		return 2 + width + n, 0 // the type of an ext
	default:
		return 1 + width + n, 0
	}
}

// mpSkip returns the offset after the MessagePack value at p, or -1.
func mpSkip(b []byte, p int) int {
	for values := 1; values > 0; values-- {
		if p < 0 || p >= len(b) {
			return -1
		}
		size, items := mpShape(b[p:])
		if size < 0 {
			return -1
		}
		p, values = p+size, values+items
	}
	return p
}

func parseMsgPack(rec []byte) (m message) {
	m.kind = -1
	if len(rec) < 2 || rec[0]&0xf0 != 0x90 {
		return
	}
	n := int(rec[0] & 15)
	if rec[1] > 0x7f {
		return
	}
	m.kind = int(rec[1])
	if m.kind == 7 {
		m.err = n > 1 && len(rec) > 2 && rec[2] != 0xc0
		return
	}
	if m.kind != 3 || n < 4 {
		return
	}
	p := mpSkip(rec, 2) // headers
	q := mpSkip(rec, p) // id
	if p < 0 || q < 0 || q >= len(rec) || q > len(rec) {
		return
	}
	s := rec[p:q]
	switch {
	case s[0]&0xe0 == 0xa0:
		m.id, m.hasID = undec(s[1:])
	case s[0] == 0xd9 && len(s) > 2:
		m.id, m.hasID = undec(s[2:])
	}
	m.err = rec[q] == 1
	return
}
