package replay

import (
	"bytes"
	"math"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// keeping returns a Buffer that keeps n messages for a client without socket.
func keeping(n int) *Buffer { return keepingTexts(n, "0123456789") }

func keepingTexts(n int, text string) *Buffer {
	r := New(nil, nil, false, 100_000)
	r.lost = true
	for range n {
		r.keep(transport.BuildFrame(append(transport.NewFrameBuffer(len(text)), text...), false))
	}
	return r
}

// numbers are the extremes of what a client can put where a number is.
var numbers = []int64{math.MinInt64, math.MinInt64 + 1, math.MinInt32, -1, 0, 1, 2, 3, 4, 5, math.MaxInt32, math.MaxInt64 - 1, math.MaxInt64}

func TestAcksWithEveryNumberKeepOrFreeWholeMessages(t *testing.T) {
	for _, before := range []int64{0, 2, 5} {
		for _, id := range numbers {
			r := keeping(5)
			r.ack(before)
			r.ack(id)
			want := 5 - max(before, min(max(id, 0), 5))
			if got := int64(len(r.kept) - r.head); got != want || r.bytes != int(want)*10 {
				t.Errorf("Ack %d, then %d: %d messages of %d bytes are kept, want %d", before, id, got, r.bytes, want)
			}
		}
	}
}

func TestSequencesWithEveryNumberAreAnErrorOrTaken(t *testing.T) {
	for _, id := range numbers {
		r := keeping(0)
		for range 3 {
			_, _ = r.Receive(&protocol.Invocation{})
		}
		_, err := r.Receive(&protocol.Sequence{SequenceID: id})
		if wrong := id > 4; (err != nil) != wrong {
			t.Errorf("Sequence %d after 3 messages: error %v, want one: %v", id, err, wrong)
		}
		if err != nil {
			continue
		}
		dispatch, err := r.Receive(&protocol.Invocation{})
		if want := id == 4; dispatch != want || err != nil {
			t.Errorf("the message behind Sequence %d: dispatched %v, error %v; want dispatched %v", id, dispatch, err, want)
		}
	}
}

func TestAcksOneByOneCostNoMoreThanOneForAll(t *testing.T) {
	const messages = 32_000
	r := keepingTexts(messages, "")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for id := range int64(messages) {
		r.ack(id + 1)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d acks have allocated %d bytes", messages, got)
	}
	if len(r.kept) != 0 || r.bytes != 0 || cap(r.kept) > mostSpare {
		t.Errorf("%d messages, %d bytes, space for %d are kept, want nothing", len(r.kept), r.bytes, cap(r.kept))
	}
}

func TestAckedMessagesDoNotMakeTheListGrow(t *testing.T) {
	r := keeping(10)
	for id := range int64(100_000) { // one comes, one goes
		r.keep(transport.BuildFrame(append(transport.NewFrameBuffer(1), 'x'), false))
		r.ack(id + 1)
	}
	if cap(r.kept) > 100 {
		t.Errorf("space for %d frames with 10 kept", cap(r.kept))
	}
}

// A silentApp has nothing to say to its client.
type silentApp struct{ conn *transport.Conn }

func (silentApp) Start()                       {}
func (silentApp) Receive([]byte, bool) bool    { return true }
func (a silentApp) Ended(error)                { a.conn.Finish() }
func (a silentApp) Shutdown()                  { a.conn.Finish() }
func (silentApp) Tick(time.Time) time.Duration { return 0 }

// A framesLink keeps what goes to the client.
type framesLink struct{ frames []transport.Frame }

func (l *framesLink) Write(f transport.Frame) bool {
	l.frames = append(l.frames, f)
	return true
}

func (*framesLink) Closed(bool) {}

// What is kept beyond the free bytes is counted by the queue limit until it is
// acknowledged, and no longer, whatever queues do with what is sent again.
func TestWhatIsSentAgainIsStillCountedAsKept(t *testing.T) {
	limit := transport.NewLimit(100 << 20)
	e := transport.NewEndpoint(transport.Options{Limit: limit}, func(c *transport.Conn) transport.App { return silentApp{c} })
	link := &framesLink{}
	conn, err := e.Open(transport.Virtual{ID: "a", Request: httptest.NewRequest("GET", "/", nil), Link: link})
	if err != nil {
		t.Fatal(err)
	}
	sequence := transport.BuildFrame(append(transport.NewFrameBuffer(1), 's'), false)
	r := New(conn, func(protocol.Message) (transport.Frame, error) { return sequence, nil }, false, 100_000)
	r.Lose()
	var want []byte
	for _, size := range []int{resendFrame, 10, resendFrame, transport.FreeBytes + 1, resendFrame, transport.FreeBytes} {
		text := strings.Repeat("x", size)
		want = append(want, text...)
		if err := r.Send(transport.BuildFrame(append(transport.NewFrameBuffer(size), text...), false)); err != nil {
			t.Fatal(err)
		}
	}
	counted := limit.Used()
	if err := r.Resume(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for i, f := range link.frames {
		got = append(got, f.Payload()...)
		if f.Len() <= transport.FreeBytes && conn.Release(link.frames[i:i+1]) != 0 {
			t.Errorf("a queue that is not behind may take frame %d, of %d bytes, as one that it has counted", i, f.Len())
		}
	}
	if want = append([]byte("s"), want...); !bytes.Equal(got, want) {
		t.Errorf("%d bytes were sent again, want the %d that are kept", len(got), len(want))
	}
	if limit.Used() != counted {
		t.Errorf("%d bytes are counted, want %d", limit.Used(), counted)
	}
	r.ack(r.sent)
	if limit.Used() != 0 {
		t.Errorf("%d bytes are counted with nothing kept", limit.Used())
	}
	conn.Left()
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
