package server_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
	"github.com/hubwire/hubwire/internal/race"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// counted is a codec that counts the bytes it looks at in vain: those of
// messages that are not whole.
type counted struct {
	codec protocol.Codec
	vain  *atomic.Int64
}

func (c counted) Name() string                                  { return c.codec.Name() }
func (c counted) Binary() bool                                  { return c.codec.Binary() }
func (c counted) Unmarshal(raw protocol.Raw, v any) error       { return c.codec.Unmarshal(raw, v) }
func (c counted) AppendValue(dst []byte, v any) ([]byte, error) { return c.codec.AppendValue(dst, v) }
func (c counted) Append(dst []byte, m protocol.Message) ([]byte, error) {
	return c.codec.Append(dst, m)
}
func (c counted) Next(buf []byte) (protocol.Message, []byte, error) {
	m, rest, err := c.codec.Next(buf)
	if errors.Is(err, protocol.ErrIncomplete) {
		c.vain.Add(int64(len(buf)))
	}
	return m, rest, err
}

func (c counted) Missing(buf []byte, seen int) int {
	if c.Binary() {
		c.vain.Add(5) // the length
	} else {
		c.vain.Add(int64(len(buf) - seen))
	}
	n, _ := protocol.Missing(c.codec, buf, seen)
	return n
}

// frames makes frames of one message with at most size bytes each.
func frames(text []byte, op ws.OpCode, size int) []byte {
	var out []byte
	for first := true; first || len(text) > 0; first = false {
		n := min(size, len(text))
		head := byte(op)
		if !first {
			head = byte(ws.OpContinuation)
		}
		if n == len(text) {
			head |= 0x80
		}
		out = append(out, head)
		switch {
		case n < 126:
			out = append(out, 0x80|byte(n))
		case n < 1<<16:
			out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(n))
		default:
			out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(n))
		}
		out = append(append(out, 0, 0, 0, 0), text[:n]...) // masked with 0
		text = text[n:]
	}
	return out
}

// payload returns what the next frame brings.
func payload(t *testing.T, in *bufio.Reader) []byte {
	t.Helper()
	h, err := ws.ReadHeader(in)
	p := make([]byte, h.Length)
	if err == nil {
		_, err = io.ReadFull(in, p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// measured returns how many bytes were allocated while do ran.
func measured(do func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

func bothCodecs(vain *atomic.Int64) []protocol.Codec {
	return []protocol.Codec{counted{protocol.JSON{}, vain}, counted{protocol.MessagePack{}, vain}}
}

// longCall is a call of Length with a text of n bytes.
func longCall(t *testing.T, codec protocol.Codec, n int) []byte {
	t.Helper()
	wire, err := codec.Append(nil, &protocol.Invocation{InvocationID: "1", Target: "Length", Arguments: []any{strings.Repeat("x", n)}})
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// checkLinear fails if the cost of a message of n bytes grows with its pieces.
func checkLinear(t *testing.T, n int, vain, allocated int64) {
	t.Helper()
	t.Logf("%d bytes: %d looked at in vain, %d allocated", n, vain, allocated)
	if vain > 3*int64(n) {
		t.Errorf("%d bytes were looked at in vain for a message of %d", vain, n)
	}
	each := int64(20)
	if race.Enabled {
		each = 200 // a leader is made anew for every fourth piece
	}
	if allocated > each*int64(n)+1<<20 {
		t.Errorf("%d bytes were allocated for a message of %d", allocated, n)
	}
}

// Pieces are the reads of a long frame, or frames of one byte.
func TestALongMessageInManyPiecesCostsWhatItsBytesCost(t *testing.T) {
	for _, c := range []struct {
		name       string
		size, each int
	}{{"reads", 1 << 20, 1 << 20}, {"frames of one byte", 32_000, 1}} {
		var vain atomic.Int64
		url := serve(t, newHub(lengthHub{}, &server.Options{MaximumReceiveMessageSize: -1, Protocols: bothCodecs(&vain)}))
		for _, codec := range bothCodecs(&vain) {
			t.Run(c.name+", "+codec.Name(), func(t *testing.T) {
				client := dial(t, url, "")
				client.send(`{"protocol":"` + codec.Name() + `","version":1}`)
				if got := payload(t, client.in); string(got) != "{}\x1e" {
					t.Fatalf("handshake answered %q", got)
				}
				op := ws.OpText
				if codec.Binary() {
					op = ws.OpBinary
				}
				call := longCall(t, codec, c.size)
				wire := frames(call, op, c.each)
				vain.Store(0)
				var answer []byte
				allocated := measured(func() {
					if _, err := client.conn.Write(wire); err != nil {
						t.Fatal(err)
					}
					answer = payload(t, client.in)
				})
				m, _, err := codec.Next(answer)
				done, ok := m.(*protocol.Completion)
				if err != nil || !ok || done.Kind != protocol.ResultValue {
					t.Fatalf("answer %q, error %v", answer, err)
				}
				checkLinear(t, len(call), vain.Load(), allocated)
			})
		}
	}
}

// What is posted comes in steps, and each may find the loop busy or not.
func TestALongPostedMessageCostsWhatItsBytesCost(t *testing.T) {
	var vain atomic.Int64
	node := serve(t, newHub(lengthHub{}, &server.Options{MaximumReceiveMessageSize: -1, Protocols: bothCodecs(&vain)}))
	for _, codec := range bothCodecs(&vain) {
		t.Run(codec.Name(), func(t *testing.T) {
			url := node + "/hub?id=" + negotiate(t, node, "").ConnectionToken
			get := func() []byte {
				t.Helper()
				answer, err := http.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				b, err := io.ReadAll(answer.Body)
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			post := func(body []byte) {
				t.Helper()
				answer, err := http.Post(url, "application/octet-stream", strings.NewReader(string(body)))
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Fatal(answer.Status)
				}
			}
			get() // the first poll is answered at once
			post([]byte(`{"protocol":"` + codec.Name() + `","version":1}` + "\x1e"))
			if got := get(); string(got) != "{}\x1e" {
				t.Fatalf("handshake answered %q", got)
			}
			call := longCall(t, codec, 1<<20)
			vain.Store(0)
			var answer []byte
			allocated := measured(func() {
				post(call)
				answer = get()
			})
			if m, _, err := codec.Next(answer); err != nil || m.(*protocol.Completion).Kind != protocol.ResultValue {
				t.Fatalf("answer %q, error %v", answer, err)
			}
			checkLinear(t, len(call), vain.Load(), allocated)
			if status, _, body := ask(t, "DELETE", url, ""); status != http.StatusAccepted {
				t.Errorf("DELETE: %d %s", status, body)
			}
		})
	}
}

func TestALongHandshakeInFramesOfOneByteCostsWhatItsBytesCost(t *testing.T) {
	url := serve(t, newHub(lengthHub{}, &server.Options{MaximumReceiveMessageSize: 1 << 20}))
	client := dial(t, url, "")
	request := []byte(`{"protocol":"json","version":1,"x":"` + strings.Repeat("x", 32_000) + `"}` + "\x1e")
	wire := frames(request, ws.OpText, 1)
	allocated := measured(func() {
		if _, err := client.conn.Write(wire); err != nil {
			t.Fatal(err)
		}
		client.expect(`{}`)
	})
	checkLinear(t, len(request), 0, allocated)
}

// plainCodec has the methods of a Codec and no other.
type plainCodec struct{ protocol.Codec }

func TestACodecThatCannotTellWhatIsMissingIsAskedAgain(t *testing.T) {
	url := serve(t, newHub(lengthHub{}, &server.Options{Protocols: []protocol.Codec{plainCodec{protocol.JSON{}}}}))
	client := connect(t, url)
	if _, err := client.conn.Write(frames(longCall(t, protocol.JSON{}, 3000), ws.OpText, 7)); err != nil {
		t.Fatal(err)
	}
	client.expect(`{"type":3,"invocationId":"1","result":3000}`)
}

// The bytes that are too many are refused, wherever they were cut.
func TestALongMessageIsRefusedWhereItPassesTheLimit(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		for _, each := range []int{1, 100, 5000} {
			url := serve(t, newHub(lengthHub{}, &server.Options{MaximumReceiveMessageSize: 1000}))
			client := dial(t, url, "")
			client.send(`{"protocol":"` + codec.Name() + `","version":1}`)
			payload(t, client.in)
			call := longCall(t, codec, 5000)
			if _, err := client.conn.Write(frames(call[:1000], ws.OpBinary, each)); err != nil {
				t.Fatal(err)
			}
			_, _ = client.conn.Write(frames(call[1000:], ws.OpBinary, each)) // may find the connection closed
			m, _, err := codec.Next(payload(t, client.in))
			if closed, ok := m.(*protocol.Close); err != nil || !ok || !closed.HasError {
				t.Errorf("%s in pieces of %d: %#v, error %v", codec.Name(), each, m, err)
			}
		}
	}
}
