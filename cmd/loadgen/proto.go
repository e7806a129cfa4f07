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
	protoRaw        // no hub envelope: plain records ended by 0x1e ("E..." echo, "B..." broadcast)
	protoCentrifuge // that of github.com/centrifugal/centrifuge: the RPC echo, a message to all
)

func parseProtocol(s string) (protocol, error) {
	switch s {
	case "json":
		return protoJSON, nil
	case "messagepack", "msgpack":
		return protoMsgPack, nil
	case "raw":
		return protoRaw, nil
	case "centrifuge":
		return protoCentrifuge, nil
	}
	return 0, fmt.Errorf("unknown protocol %q (json, messagepack, raw, centrifuge)", s)
}

func (p protocol) name() string { return [...]string{"json", "messagepack", "raw", "centrifuge"}[p] }

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
	case protoCentrifuge:
		data := `"` + args[len(args)-1] + `"`
		if withID {
			rec = append(rec, `{"id":`+idMark+`,"rpc":{"method":"`+target+`","data":`+data+"}}"...)
		} else {
			rec = append(rec, `{"send":{"data":`+data+"}}"...)
		}
	case protoRaw:
		rec = append(rec, target[0])
		if withID {
			rec = append(rec, idMark...)
		}
		rec = append(rec, args[len(args)-1]...)
		rec = append(rec, 0x1e)
	}
	return newTemplate(op, rec, args[len(args)-1])
}

// jsonCall builds a template calling target with one argument, which is JSON.
func jsonCall(target, argument string) *template {
	rec := `{"type":1,"invocationId":"` + idMark + `","target":"` + target + `","arguments":[` + argument + "]}\x1e"
	return newTemplate(1, []byte(rec), "")
}

// newTemplate finds the places of a record; payload is what an echo of it has.
func newTemplate(op byte, rec []byte, payload string) *template {
	t := &template{recLen: len(rec), payload: payload}
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

// hub reports whether a server of the protocol is a hub, with negotiate and a
// handshake.
func (p protocol) hub() bool { return p == protoJSON || p == protoMsgPack }

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
