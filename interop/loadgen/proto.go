//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// A template is one complete unmasked client WebSocket frame holding one hub
// message, with the places to patch per send. Offsets are into buf; -1 = none.
type template struct {
	buf     []byte
	hdrLen  int // frame header length including the 4-byte mask key
	idOff   int // 8 decimal digits
	tsOff   int // 16 hex digits
	seqOff  int // 8 hex digits
	recLen  int // bytes of the hub message itself
	payload string
}

const (
	markTS = "@ts="
	tsMark = "@ts=################.%%%%%%%%;"
	idMark = "^^^^^^^^"
)

type protocol int

const (
	protoJSON protocol = iota
	protoMsgPack
	protoRaw // no hub envelope: plain records ended by 0x1e ("E..." echo, "B..." broadcast)
)

func parseProtocol(s string) (protocol, error) {
	switch s {
	case "json":
		return protoJSON, nil
	case "messagepack", "msgpack":
		return protoMsgPack, nil
	case "raw":
		return protoRaw, nil
	}
	return 0, fmt.Errorf("unknown protocol %q (json, messagepack, raw)", s)
}

func (p protocol) name() string { return [...]string{"json", "messagepack", "raw"}[p] }

func frame(opcode byte, body []byte) (f []byte, hdr int) {
	n := len(body)
	switch {
	case n < 126:
		f = append(f, 0x80|opcode, 0x80|byte(n))
	case n < 65536:
		f = append(f, 0x80|opcode, 0x80|126, byte(n>>8), byte(n))
	default:
		f = append(f, 0x80|opcode, 0x80|127)
		f = binary.BigEndian.AppendUint64(f, uint64(n))
	}
	f = append(f, 0, 0, 0, 0)
	hdr = len(f)
	return append(f, body...), hdr
}

func mpStr(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n < 256:
		b = append(b, 0xd9, byte(n))
	case n < 65536:
		b = append(b, 0xda, byte(n>>8), byte(n))
	default:
		b = append(b, 0xdb, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, s...)
}

func mpPrefix(rec []byte) []byte {
	var out []byte
	n := len(rec)
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n > 0 {
			c |= 0x80
		}
		out = append(out, c)
		if n == 0 {
			break
		}
	}
	return append(out, rec...)
}

// invocation builds a template calling target(args...). Arguments are plain
// text without characters that need escaping.
func (p protocol) invocation(withID bool, target string, args ...string) *template {
	var rec []byte
	op := byte(1)
	switch p {
	case protoJSON:
		rec = append(rec, `{"type":1,`...)
		if withID {
			rec = append(rec, `"invocationId":"`+idMark+`",`...)
		}
		rec = append(rec, `"target":"`+target+`","arguments":[`...)
		for i, a := range args {
			if i > 0 {
				rec = append(rec, ',')
			}
			rec = append(rec, `"`+a+`"`...)
		}
		rec = append(rec, "]}\x1e"...)
	case protoMsgPack:
		op = 2
		rec = append(rec, 0x96, 1, 0x80)
		if withID {
			rec = mpStr(rec, idMark)
		} else {
			rec = append(rec, 0xc0)
		}
		rec = mpStr(rec, target)
		rec = append(rec, 0x90|byte(len(args)))
		for _, a := range args {
			rec = mpStr(rec, a)
		}
		rec = append(rec, 0x90)
		rec = mpPrefix(rec)
	case protoRaw:
		rec = append(rec, target[0])
		if withID {
			rec = append(rec, idMark...)
		}
		rec = append(rec, args[len(args)-1]...)
		rec = append(rec, 0x1e)
	}
	t := &template{recLen: len(rec), payload: args[len(args)-1]}
	t.buf, t.hdrLen = frame(op, rec)
	t.idOff = bytes.Index(t.buf, []byte(idMark))
	t.tsOff, t.seqOff = -1, -1
	if i := bytes.Index(t.buf, []byte(tsMark)); i >= 0 {
		t.tsOff = i + len(markTS)
		t.seqOff = t.tsOff + 17
	}
	return t
}

func (p protocol) handshake() []byte {
	f, _ := frame(1, []byte(`{"protocol":"`+p.name()+`","version":1}`+"\x1e"))
	return f
}

func (p protocol) ping() []byte {
	switch p {
	case protoJSON:
		f, _ := frame(1, []byte(`{"type":6}`+"\x1e"))
		return f
	case protoMsgPack:
		f, _ := frame(2, []byte{2, 0x91, 6})
		return f
	}
	return nil
}

// text makes an argument of exactly n bytes (at least the marker's length).
func text(n int) string {
	s := tsMark
	const fill = "the quick brown fox jumps over the lazy dog "
	if n > len(s) {
		s += strings.Repeat(fill, n/len(fill)+1)[:n-len(s)]
	}
	return s
}

const hexd = "0123456789abcdef"

// appendTo patches id, time and sequence into a copy of the frame, masks it
// and appends it to dst.
func (t *template) appendTo(dst []byte, mask uint32, id uint32, ts int64, seq uint32) []byte {
	o := len(dst)
	dst = append(dst, t.buf...)
	f := dst[o:]
	if t.idOff >= 0 {
		for i := 7; i >= 0; i-- {
			f[t.idOff+i] = '0' + byte(id%10)
			id /= 10
		}
	}
	if t.tsOff >= 0 {
		for i := 15; i >= 0; i-- {
			f[t.tsOff+i] = hexd[ts&15]
			ts >>= 4
		}
		for i := 7; i >= 0; i-- {
			f[t.seqOff+i] = hexd[seq&15]
			seq >>= 4
		}
	}
	maskFrame(f, t.hdrLen, mask)
	return dst
}

func maskFrame(f []byte, hdr int, mask uint32) {
	binary.LittleEndian.PutUint32(f[hdr-4:], mask)
	m8 := uint64(mask)<<32 | uint64(mask)
	b := f[hdr:]
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^m8)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(mask >> (8 * (i & 3)))
	}
}

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

// message is what the generator wants to know of one received hub message.
type message struct {
	kind  int // hub message type, -1 = not understood
	id    uint32
	hasID bool
	err   bool
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

// mpSkip returns the offset after the MessagePack value at p, or -1.
func mpSkip(b []byte, p int) int {
	if p < 0 || p >= len(b) {
		return -1
	}
	c := b[p]
	be := func(n int) int {
		if p+1+n > len(b) {
			return -1
		}
		v := 0
		for i := 0; i < n; i++ {
			v = v<<8 | int(b[p+1+i])
		}
		return v
	}
	items := func(start, n int) int {
		for i := 0; i < n && start >= 0; i++ {
			start = mpSkip(b, start)
		}
		return start
	}
	switch {
	case c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3:
		return p + 1
	case c < 0x90:
		return items(p+1, 2*int(c&15))
	case c < 0xa0:
		return items(p+1, int(c&15))
	case c < 0xc0:
		return p + 1 + int(c&31)
	}
	switch c {
	case 0xcc, 0xd0:
		return p + 2
	case 0xcd, 0xd1:
		return p + 3
	case 0xce, 0xd2, 0xca:
		return p + 5
	case 0xcf, 0xd3, 0xcb:
		return p + 9
	case 0xc4, 0xd9:
		return p + 2 + be(1)
	case 0xc5, 0xda:
		return p + 3 + be(2)
	case 0xc6, 0xdb:
		return p + 5 + be(4)
	case 0xdc:
		return items(p+3, be(2))
	case 0xde:
		return items(p+3, 2*be(2))
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return p + 2 + 1<<(c-0xd4)
	case 0xc7:
		return p + 3 + be(1)
	}
	return -1
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
