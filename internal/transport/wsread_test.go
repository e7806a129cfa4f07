package transport

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRuneCheckAgreesWithUTF8HoweverTextIsCut(t *testing.T) {
	texts := []string{"", "abc", "ä", "€uro", "𝄞", "a\xffb", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "ok\xe2\x82x", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "é\xc3", "äöü€𝄞end", "\xc0\xaf"}
	for _, text := range texts {
		for i := 0; i <= len(text); i++ {
			for j := i; j <= len(text); j++ {
				var u runeCheck
				got := u.check([]byte(text[:i]), false) && u.check([]byte(text[i:j]), false) && u.check([]byte(text[j:]), true)
				if want := utf8.ValidString(text); got != want {
					t.Errorf("%q cut at %d and %d: %v, want %v", text, i, j, got, want)
				}
			}
		}
	}
}

func FuzzRuneCheck(f *testing.F) {
	f.Add([]byte("äöü€𝄞"), 3)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		step = max(1, step%7)
		var u runeCheck
		got := true
		for rest := text; got && len(rest) > 0; {
			n := min(step, len(rest))
			got = u.check(rest[:n], n == len(rest))
			rest = rest[n:]
		}
		if want := utf8.Valid(text); got != want {
			t.Errorf("%q in steps of %d: %v, want %v", text, step, got, want)
		}
	})
}

// A brokenFrame is what ends a WebSocket with a code other than 1000.
var brokenFrames = []struct {
	name, bytes string
	code        int
}{
	{"text that is not UTF-8", clientFrame(opText, "\xff\xfe"), 1007},
	{"text cut inside a rune", clientFrame(opText, "{\xc3"), 1007},
	{"text cut inside a rune, in fragments", clientFrame(0x01, "{\xe2") + clientFrame(0x00, "\x82") + clientFrame(opContinuation, ""), 1007},
	{"text that breaks in the second fragment", clientFrame(0x01, "ok") + clientFrame(opContinuation, "\xff"), 1007},
	{"no mask", "\x81\x02hi", 1002},
	{"no mask and no payload", "\x81\x00", 1002},
	{"reserved opcode 3", clientFrame(0x83, "x"), 1002},
	{"reserved control opcode", clientFrame(0x8b, "x"), 1002},
	{"reserved bit", clientFrame(0xc1, "x"), 1002},
	{"ping of 126 bytes", clientFrame(opPing, strings.Repeat("x", 126)), 1002},
	{"fragmented ping", clientFrame(0x09, "x"), 1002},
	{"continuation without a start", clientFrame(opContinuation, "x"), 1002},
	{"message inside a message", clientFrame(0x01, "x") + clientFrame(opText, "y"), 1002},
	{"close with one byte", clientFrame(opClose, "\x03"), 1002},
	{"close with 1005", clientFrame(opClose, "\x03\xed"), 1002},
	{"close with 1006", clientFrame(opClose, "\x03\xee"), 1002},
	{"close with 999", clientFrame(opClose, "\x03\xe7"), 1002},
	{"close with 5000", clientFrame(opClose, "\x13\x88"), 1002},
	{"close with a reason that is not UTF-8", clientFrame(opClose, "\x03\xe8\xff"), 1002},
	{"length with its highest bit set", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask", 1002},
}

func TestBrokenFramesEndTheConnection(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.silent = true })
	for _, test := range brokenFrames {
		for _, cut := range []string{"whole", "byte by byte"} {
			t.Run(test.name+", "+cut, func(t *testing.T) {
				p := n.upgrade("/hub")
				p.t = t
				if cut == "whole" {
					p.write(test.bytes)
				} else {
					for i := range len(test.bytes) {
						if _, err := io.WriteString(p.conn, test.bytes[i:i+1]); err != nil {
							break // the server has seen enough
						}
					}
				}
				p.expect(opClose, fmt.Sprintf("%d %q", test.code, ""))
				p.expectEnd()
				if err := n.app().end(t); err == nil || !strings.Contains(err.Error(), "violated") {
					t.Errorf("cause = %v, want the violation", err)
				}
			})
		}
	}
}

// What came before a broken frame is the App's, and whoever reads then finds the
// broken one.
func TestWhatIsBeforeABrokenFrameIsGivenToTheApp(t *testing.T) {
	for _, kept := range []bool{false, true} {
		n := serve(t, defaults(), func(a *echoApp) {
			a.receive = func(_ []byte, isReader bool) bool {
				if kept && isReader {
					go a.conn.ReadOn()
				}
				return !kept
			}
		})
		for _, test := range brokenFrames {
			t.Run(fmt.Sprintf("%s, kept %v", test.name, kept), func(t *testing.T) {
				p := n.upgrade("/hub")
				p.t = t
				p.write(clientFrame(opText, "before ä") + clientFrame(opText, " it") + test.bytes)
				p.expect(opClose, fmt.Sprintf("%d %q", test.code, ""))
				p.expectEnd()
				a := n.app()
				if err := a.end(t); err == nil || !strings.Contains(err.Error(), "violated") {
					t.Errorf("cause = %v, want the violation", err)
				}
				if got := a.got(); !strings.HasPrefix(got, "before ä it") {
					t.Errorf("the App got %q, want what was before", got)
				}
			})
		}
	}
}

// What an App does once for all that it is given costs a frame less that way.
func TestFramesOfOneReadAreGivenAtOnce(t *testing.T) {
	given := make(chan string, 10)
	n := serve(t, defaults(), func(a *echoApp) {
		a.receive = func(p []byte, _ bool) bool {
			given <- string(p)
			return true
		}
	})
	p := n.upgrade("/hub")
	p.write(clientFrame(opText, "one") + clientFrame(opBinary, "") + clientFrame(0x01, " t") + clientFrame(opContinuation, "wo") +
		clientFrame(opPing, "ping") + clientFrame(opText, "three") + clientFrame(opText, " four"))
	for _, want := range []string{"one two", "three four"} {
		if got := <-given; got != want {
			t.Errorf("given %q, want %q", got, want)
		}
	}
	p.expect(opPong, "ping")
}

func TestValidCloseCodesAreAnswered1000(t *testing.T) {
	n := serve(t, defaults(), nil)
	for _, code := range []int{0, 1000, 1001, 1002, 1003, 1007, 1011, 3000, 4999} {
		p := n.upgrade("/hub")
		payload := string([]byte{byte(code >> 8), byte(code)}) + "why"
		if code == 0 {
			payload = ""
		}
		p.send(opClose, payload)
		p.expect(opClose, `1000 ""`)
		p.expectEnd()
		if err := n.app().end(t); err != nil {
			t.Errorf("cause after close %d = %v, want nil", code, err)
		}
	}
}

// randomFrames builds messages in random fragments with control frames between,
// and returns what an App receives of them. heads are where the frames begin.
func randomFrames(r *rand.Rand, messages int) (wire, payload string, heads []int, pings []string) {
	var w, p strings.Builder
	for range messages {
		op, n := byte(1), r.IntN(300)
		if r.IntN(4) == 0 {
			n = r.IntN(70_000)
		}
		body := strings.Repeat("aä€𝄞", n/10+1)
		if r.IntN(2) == 0 {
			op = 2
			body += "\xff"
		}
		p.WriteString(body)
		for first := true; ; first = false {
			k := r.IntN(len(body) + 1)
			if r.IntN(3) == 0 {
				k = len(body)
			}
			head := byte(0)
			if first {
				head = op
			}
			if k == len(body) {
				head |= 0x80
			}
			heads = append(heads, w.Len())
			w.WriteString(clientFrame(head, body[:k]))
			body = body[k:]
			if head&0x80 != 0 {
				break
			}
			if r.IntN(3) == 0 && len(pings) < maximumPongs {
				ping := fmt.Sprint("ping ", len(pings))
				pings, heads = append(pings, ping), append(heads, w.Len())
				w.WriteString(clientFrame(opPing, ping))
			}
			if r.IntN(5) == 0 {
				heads = append(heads, w.Len())
				w.WriteString(clientFrame(opPong, "unasked"))
			}
		}
	}
	return w.String(), p.String(), heads, pings
}

func TestFramesCutAnywhereArriveWhole(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := serve(t, defaults(), func(a *echoApp) { a.silent = true })
		p := n.upgrade("/hub")
		wire, payload, heads, pings := randomFrames(r, 12)
		go func() {
			for at := 0; at < len(wire); {
				k := 1 + r.IntN(3000)
				if seed%3 == 0 { // some bytes at a time, where a frame begins
					for len(heads) > 0 && heads[0]+20 < at {
						heads = heads[1:]
					}
					if len(heads) > 0 && heads[0] < at+10 {
						k = 1 + r.IntN(9)
					} else if len(heads) > 0 {
						k = min(k, heads[0]-at-5)
					}
				}
				k = min(k, len(wire)-at)
				if _, err := io.WriteString(p.conn, wire[at:at+k]); err != nil {
					return // reported by what is missing
				}
				at += k
			}
		}()
		for _, ping := range pings {
			p.expect(opPong, ping)
		}
		a := n.app()
		eventually(t, "everything arrives", func() bool { return len(a.got()) >= len(payload) })
		if a.got() != payload {
			t.Fatalf("seed %d: what arrived differs from what was sent", seed)
		}
	}
}

func TestBytesBehindTheUpgradeRequestAreNotLost(t *testing.T) {
	n := serve(t, defaults(), nil)
	p := n.dial()
	request := "GET /hub HTTP/1.1\r\nHost: test\r\n" + strings.Join(handshakeHeaders, "\r\n") + "\r\n\r\n"
	long := strings.Repeat("long", 5000) // more than net/http has read with the request
	p.write(request + clientFrame(opText, "early") + clientFrame(opText, long))
	if r := p.response("GET"); r.status != 101 {
		t.Fatalf("upgrade = %v", r)
	}
	var got strings.Builder
	for got.Len() < len("early"+long) {
		_, payload := p.frame()
		got.WriteString(payload)
	}
	if got.String() != "early"+long {
		t.Error("the echo differs from what was sent")
	}
}

// A keeper keeps the reader's goroutine, as a hub does with slow calls, and
// goes on with reading from another one.
type keeper struct {
	app     *echoApp
	release chan struct{}
	group   sync.WaitGroup
	given   chan string // to kept goroutines
}

func (k *keeper) receive(p []byte, isReader bool) bool {
	if !isReader || !bytes.Contains(p, []byte("slow")) {
		_ = k.app.conn.Send(text(string(p)))
		return true
	}
	k.given <- string(p) // ReadOn uses its memory again
	k.group.Go(k.app.conn.ReadOn)
	<-k.release
	_ = k.app.conn.Send(text("late"))
	k.app.conn.Uncork()
	return false
}

func TestReadOnGoesOnWithWhatIsLeft(t *testing.T) {
	var k *keeper
	n := serve(t, defaults(), func(a *echoApp) {
		k = &keeper{app: a, release: make(chan struct{}), given: make(chan string, 10)}
		a.receive = k.receive
	})
	p := n.upgrade("/hub")
	// One read with a slow message in the middle, twice, cut inside a frame.
	wire := clientFrame(opText, "first") + apart + clientFrame(opText, "slow 1") + apart + clientFrame(opText, "second") + apart +
		clientFrame(opText, "slow 2") + apart + clientFrame(opText, "third")
	p.write(wire[:len(wire)-3])
	p.expect(opText, "first")
	p.expect(opText, "second")
	p.write(wire[len(wire)-3:])
	for got := ""; got != "third"; { // "third" may come in two parts
		_, part := p.frame()
		got += part
	}
	for range 50 { // the buffers are used again
		p.send(opText, strings.Repeat("x", 10_000))
		for got := 0; got < 10_000; {
			_, part := p.frame()
			got += len(part)
		}
	}
	close(k.release)
	p.expect(opText, "late")
	p.expect(opText, "late")
	if first, second := <-k.given, <-k.given; first != "slow 1" || second != "slow 2" {
		t.Errorf("kept goroutines were given %q and %q", first, second)
	}
	p.send(opClose, "")
	p.expect(opClose, `1000 ""`)
	k.group.Wait()
	if err := n.app().end(t); err != nil {
		t.Errorf("cause = %v, want nil", err)
	}
}

func TestFrameOf4GiBCostsNothingAhead(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.silent = true })
	p := n.upgrade("/hub")
	p.write("\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00mask" + strings.Repeat("x", 1000))
	a := n.app()
	eventually(t, "the part that came arrives", func() bool { return len(a.got()) == 1000 })
	a.conn.mu.Lock()
	s := a.conn.socket
	a.conn.mu.Unlock()
	if s.part != nil {
		t.Error("payload of a data frame was collected")
	}
	_ = p.conn.Close()
	if err := a.end(t); err == nil {
		t.Error("cause = nil, want the loss inside a frame")
	}
}

func TestFrameFlood(t *testing.T) {
	n := serve(t, defaults(), func(a *echoApp) { a.silent = true })
	p := n.upgrade("/hub")
	flood := strings.Repeat(clientFrame(opText, "")+clientFrame(opPing, "x")+clientFrame(0x02, "")+clientFrame(opContinuation, "")+clientFrame(opPong, ""), 2000)
	go func() {
		for range 20 {
			if _, err := io.WriteString(p.conn, flood); err != nil {
				return // the test ends
			}
		}
		_, _ = io.WriteString(p.conn, clientFrame(opText, "after"))
	}()
	a := n.app() // the client does not read the pongs
	eventually(t, "the message after the flood arrives", func() bool { return a.got() == "after" })
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	if got := len(a.conn.out.waiting()); got > maximumPongs {
		t.Errorf("%d pongs are queued, want at most %d", got, maximumPongs)
	}
}

func FuzzWebSocketBytes(f *testing.F) {
	for _, b := range brokenFrames {
		f.Add([]byte(b.bytes), 1)
	}
	wire, _, _, _ := randomFrames(rand.New(rand.NewPCG(1, 2)), 3)
	f.Add([]byte(wire), 100)
	f.Fuzz(func(t *testing.T, wire []byte, step int) {
		whole, end := parseAll(wire, len(wire)+1)
		parts, endInParts := parseAll(wire, max(1, step%1000))
		// Text that turns out to be broken is received as far as it was good.
		if !strings.HasPrefix(parts, whole) || (end == 0 && whole != parts) || end != endInParts {
			t.Errorf("%q: in one part %q, %d; in parts of %d %q, %d", wire, whole, end, step, parts, endInParts)
		}
		if len(whole) > len(wire) {
			t.Errorf("%d bytes received of %d", len(whole), len(wire))
		}
	})
}

// parseAll gives wire to a reader in parts and returns what its App receives,
// and the close code that the socket ends with.
func parseAll(wire []byte, step int) (received string, code uint16) {
	opts := defaults()
	e := NewEndpoint(opts, nil)
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }() // pongs and close frames
	c := &Conn{endpoint: e, shard: &e.flushers.shards[0], transport: WebSockets, state: state{linkServing, appRunning}}
	a := &echoApp{conn: c, over: make(chan struct{}), silent: true, linger: true}
	c.handler = a
	s := &socket{conn: c, net: ours}
	c.socket = s
	wire = bytes.Clone(wire) // it is unmasked in place
	for len(wire) > 0 {
		n := min(step, len(wire))
		s.buf = &readBuffer{left: wire[:n:n]}
		if s.parse() == over {
			break
		}
		wire = wire[n:]
	}
	c.Abort(io.EOF)
	_ = theirs.Close()
	return a.got(), s.closeCode
}

func TestSilentClientKeepsItsConnection(t *testing.T) {
	inBubble(t, defaults(), nil, func(t *testing.T, n *node) {
		p := n.upgrade("/hub")
		time.Sleep(time.Minute * 4) // the transport has no clock of its own for sockets
		p.send(opText, "still here")
		p.expect(opText, "still here")
	})
}
