package autobahn

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

var hello = []byte("Hello, world!")

// one is a single write of these frames.
func one(frames ...[]byte) [][]byte { return [][]byte{bytes.Join(frames, nil)} }

// chop writes b in pieces of n bytes.
func chop(b []byte, n int) (writes [][]byte) {
	for len(b) > n {
		writes, b = append(writes, b[:n]), b[n:]
	}
	return append(writes, b)
}

// echoed is a case in which data and pongs come back.
func echoed(name string, writes [][]byte, data []byte, pongs ...string) testCase {
	return testCase{name: name, writes: writes, data: data, pongs: pongs}
}

// refused is a case in which the server closes with one of the codes.
func refused(name string, writes [][]byte, codes ...int) testCase {
	return testCase{name: name, writes: writes, codes: codes}
}

func messages() (cases []testCase) {
	for kind, first := range map[string]byte{"text": 0x81, "binary": 0x82} {
		for _, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
			p := bytes.Repeat([]byte("*"), n)
			cases = append(cases, echoed(fmt.Sprintf("%s of %d", kind, n), one(frame(first, p)), p))
		}
		p := bytes.Repeat([]byte("*"), 65536)
		cases = append(cases, echoed(kind+" in pieces of 997", chop(frame(first, p), 997), p))
	}
	return cases
}

func pings() []testCase {
	long := strings.Repeat("\xfe", 125)
	var ten [][]byte
	var pongs []string
	for i := range 10 {
		pongs = append(pongs, fmt.Sprint(i))
		ten = append(ten, frame(0x89, []byte(pongs[i])))
	}
	return []testCase{
		echoed("without payload", one(frame(0x89, nil)), nil, ""),
		echoed("text", one(frame(0x89, hello)), nil, string(hello)),
		echoed("binary", one(frame(0x89, []byte("\x00\xff\xfe\xfd"))), nil, "\x00\xff\xfe\xfd"),
		echoed("125 bytes", one(frame(0x89, []byte(long))), nil, long),
		refused("126 bytes", one(frame(0x89, []byte(long+"x"))), 1002),
		echoed("125 bytes, byte by byte", chop(frame(0x89, []byte(long)), 1), nil, long),
		echoed("an unsolicited pong", one(frame(0x8a, nil)), nil),
		echoed("a pong with payload", one(frame(0x8a, []byte("x"))), nil),
		echoed("a pong, then a ping", one(frame(0x8a, []byte("x")), frame(0x89, []byte("y"))), nil, "y"),
		echoed("ten", one(ten...), nil, pongs...),
		echoed("ten, byte by byte", chop(bytes.Join(ten, nil), 1), nil, pongs...),
	}
}

func reservedBits() (cases []testCase) {
	for bits := byte(0x10); bits <= 0x70; bits += 0x10 {
		cases = append(cases,
			refused(fmt.Sprintf("text with %x", bits), one(frame(0x81|bits, hello)), 1002),
			refused(fmt.Sprintf("text with %x after a good one", bits), one(frame(0x81, hello), frame(0x81|bits, hello), frame(0x89, nil)), 1002))
	}
	return append(cases,
		refused("binary", one(frame(0x82|0x60, hello)), 1002),
		refused("ping", one(frame(0x89|0x70, hello)), 1002),
		refused("close", one(frame(0x88|0x70, []byte{3, 0xe8})), 1002))
}

func opcodes() (cases []testCase) {
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases,
			refused(fmt.Sprintf("%d", op), one(frame(0x80|op, hello)), 1002),
			refused(fmt.Sprintf("%d, empty", op), one(frame(0x80|op, nil)), 1002),
			refused(fmt.Sprintf("%d after a text", op), one(frame(0x81, hello), frame(0x80|op, hello), frame(0x89, nil)), 1002))
	}
	return cases
}

func fragments() []testCase {
	two := [][]byte{frame(1, []byte("frag1")), frame(0x80, []byte("frag2"))}
	around := [][]byte{two[0], frame(0x89, []byte("p")), two[1]}
	many := [][]byte{
		frame(1, []byte("a")), frame(0, []byte("b")), frame(0x89, []byte("1")), frame(0, []byte("c")),
		frame(0, []byte("d")), frame(0x89, []byte("2")), frame(0x80, []byte("e")),
	}
	cases := []testCase{
		refused("a ping in two", one(frame(0x09, []byte("a")), frame(0x80, []byte("b"))), 1002),
		refused("a pong in two", one(frame(0x0a, []byte("a")), frame(0x80, []byte("b"))), 1002),
		refused("a continuation of nothing, final", one(frame(0x80, hello), frame(0x81, hello)), 1002),
		refused("a continuation of nothing after a message", one(frame(0x81, hello), frame(0x80, hello)), 1002),
		refused("a continuation of nothing", one(frame(0, hello), frame(0x81, hello)), 1002),
		refused("a continuation after the end", one(frame(1, hello), frame(0x80, hello), frame(0, hello), frame(0x81, hello)), 1002),
		refused("a new text inside", one(frame(1, hello), frame(0x81, hello)), 1002),
		refused("a new binary inside", one(frame(1, hello), frame(0x82, hello)), 1002),
		echoed("empty ones", one(frame(1, nil), frame(0, nil), frame(0x80, nil)), nil),
		echoed("the first and the last empty", one(frame(1, nil), frame(0, []byte("x")), frame(0x80, nil)), []byte("x")),
	}
	for _, c := range []testCase{
		{name: "two", writes: two, data: []byte("frag1frag2")},
		{name: "a ping between", writes: around, data: []byte("frag1frag2"), pongs: []string{"p"}},
		{name: "many with pings", writes: many, data: []byte("abcde"), pongs: []string{"1", "2"}},
	} {
		all := bytes.Join(c.writes, nil)
		cases = append(cases, c,
			echoed(c.name+", in one write", one(all), c.data, c.pongs...),
			echoed(c.name+", byte by byte", chop(all, 1), c.data, c.pongs...))
	}
	return cases
}

func closes() []testCase {
	payload := func(code int, reason string) []byte {
		return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
	}
	bye := frame(0x88, payload(1000, ""))
	after := refused("a text after it is not answered", one(bye, frame(0x81, hello)), 1000)
	after.silent = true
	cases := []testCase{
		refused("after a message", one(frame(0x81, hello), bye), 1000),
		refused("two", one(bye, bye), 1000),
		refused("a ping after it", one(bye, frame(0x89, nil)), 1000),
		after,
		refused("inside a message", one(frame(1, hello), bye, frame(0x80, hello)), 1000),
		refused("after 256 KB, with a ping after it", one(frame(0x81, bytes.Repeat([]byte("x"), 256<<10)), bye, frame(0x89, nil)), 1000),
		refused("empty", one(frame(0x88, nil)), noCode, 1000),
		refused("one byte", one(frame(0x88, []byte{3})), 1002),
		refused("a reason", one(frame(0x88, payload(1000, "Hello World!"))), 1000),
		refused("a reason of 123", one(frame(0x88, payload(1000, strings.Repeat("*", 123)))), 1000),
		refused("a reason of 124", one(frame(0x88, payload(1000, strings.Repeat("*", 124)))), 1002),
		refused("a reason that is not UTF-8", one(frame(0x88, payload(1000, "\xce\xba\xed\xa0\x80edited"))), 1007, 1002),
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cases = append(cases, refused(fmt.Sprintf("code %d", code), one(frame(0x88, payload(code, ""))), 1000, code))
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, refused(fmt.Sprintf("bad code %d", code), one(frame(0x88, payload(code, ""))), 1002))
	}
	// Autobahn accepts the codes that IANA has added. .NET's
	// ManagedWebSocket does not know them, and we answer as it does.
	for _, code := range []int{1012, 1013, 1014} {
		cases = append(cases, refused(fmt.Sprintf("code %d, unknown to .NET", code), one(frame(0x88, payload(code, ""))), 1002))
	}
	return cases
}

func masks() []testCase {
	return []testCase{
		refused("text without a mask", one([]byte{0x81, 2, 'h', 'i'}), 1002),
		refused("close without a mask", one([]byte{0x88, 0}), 1002),
		refused("a length with the highest bit", one([]byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}), 1002),
		echoed("a length of 16 bits for a byte", one([]byte{0x81, 0xfe, 0, 1, 0, 0, 0, 0, 'x'}), []byte("x")),
		echoed("a length of 64 bits for a byte", one([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 'x'}), []byte("x")),
		echoed("zeros", one([]byte{0x81, 0x81, 0, 0, 0, 0, 'x'}), []byte("x")),
	}
}
