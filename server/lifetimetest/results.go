package lifetimetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

const (
	canceled = "Invocation canceled by the server."
	left     = "Connection disconnected."
)

// ask asks the client id for a result, which goes through asked.
func (b *bench) ask(ctx context.Context, from node, id string) (string, error) {
	result, err := from.InvokeConnection(ctx, id, &protocol.Invocation{Target: "ask", Arguments: []any{}})
	return string(result.Value), err
}

// answer completes the next invocation that c receives, at its node.
func (b *bench) answer(m node, c *receiver, completion protocol.Completion) {
	completion.InvocationID = b.next(c).id
	if known, err := m.SetResult(c, &completion); !known || err != nil {
		b.Errorf("SetResult = %v, %v", known, err)
	}
}

func value(text string) protocol.Completion {
	return protocol.Completion{Kind: protocol.ResultValue, RawResult: protocol.Raw(text)}
}

var resultCases = []testCase{
	{"B06 S17 a client's value comes back, byte by byte", func(b *bench) {
		c2 := b.connect(b.b, "c2", "")
		go b.answer(b.b, c2, value(`{"big":12345678901234567890}`))
		if got, err := b.ask(b.Context(), b.a, "c2"); err != nil || got != `{"big":12345678901234567890}` {
			b.Errorf("result %s, error %v", got, err)
		}
	}},
	{"B07 S18 a client's error comes back as a HubError", func(b *bench) {
		c2 := b.connect(b.b, "c2", "")
		go b.answer(b.b, c2, protocol.Completion{Kind: protocol.ResultError, Error: "no, thanks"})
		_, err := b.ask(b.Context(), b.a, "c2")
		wantText[*server.HubError](b, err, "no, thanks")
	}},
	{"B08 an answer of another connection is refused, and the right one still counts", func(b *bench) {
		c1, c2 := b.connect(b.b, "c1", ""), b.connect(b.b, "c2", "")
		go func() {
			id := b.next(c2).id
			wrong := value("1")
			wrong.InvocationID = id
			known, err := b.b.SetResult(c1, &wrong)
			if text := fmt.Sprintf("Connection ID 'c1' is not valid for invocation ID '%s'.", id); b.a == b.b && (!known || err == nil || err.Error() != text) {
				b.Errorf("SetResult = %v, %v, want the error %q", known, err, text)
			} else if known && err == nil {
				b.Error("the answer of another connection was taken")
			}
			right := value("2")
			right.InvocationID = id
			if known, err := b.b.SetResult(c2, &right); !known || err != nil {
				b.Errorf("SetResult = %v, %v", known, err)
			}
		}()
		if got, err := b.ask(b.Context(), b.a, "c2"); err != nil || got != "2" {
			b.Errorf("result %s, error %v", got, err)
		}
	}},
	{"B09 S19 a connection that is nowhere does not exist", func(b *bench) {
		_, err := b.ask(b.Context(), b.a, "1234")
		wantText[*server.ConnectionError](b, err, "Connection '1234' does not exist.")
	}},
	{"B10 S21 many questions at a time get each its own answer", func(b *bench) {
		const n = 50
		c1, c2 := b.connect(b.a, "c1", ""), b.connect(b.b, "c2", "")
		var wg sync.WaitGroup
		for c, m := range map[*receiver]node{c1: b.a, c2: b.b} {
			wg.Go(func() {
				var ids []string
				for range 2 * n {
					ids = append(ids, b.next(c).id)
				}
				for i := range ids { // from the last to the first
					id := ids[len(ids)-1-i]
					completion := value(`"` + c.id + " " + id + `"`)
					completion.InvocationID = id
					if known, err := m.SetResult(c, &completion); !known || err != nil {
						b.Errorf("SetResult = %v, %v", known, err)
					}
				}
			})
		}
		var mu sync.Mutex
		seen := map[string]bool{}
		for i := range 4 * n {
			from, id := []node{b.a, b.b}[i%2], []string{"c1", "c2"}[i/2%2]
			wg.Go(func() {
				got, err := b.ask(b.Context(), from, id)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || !strings.HasPrefix(got, `"`+id+" ") || seen[got] {
					b.Errorf("%s answered %s, error %v, seen before: %v", id, got, err, seen[got])
				}
				seen[got] = true
			})
		}
		wg.Wait()
	}},
	{"B11 S20 a client that leaves without an answer ends the wait", func(b *bench) {
		c2 := b.connect(b.b, "c2", "")
		go func() {
			b.next(c2)
			b.disconnect(b.b, c2)
		}()
		_, err := b.ask(b.Context(), b.a, "c2")
		if b.several {
			wantText[*server.HubError](b, err, left)
		} else {
			wantText[*server.ConnectionError](b, err, "Connection 'c2' disconnected.")
		}
	}},
	{"B12 a question can be given up, and a late answer does no harm", func(b *bench) {
		c2 := b.connect(b.b, "c2", "")
		ctx, cancel := context.WithCancel(b.Context())
		ids := make(chan string, 1)
		go func() {
			ids <- b.next(c2).id
			cancel()
		}()
		_, err := b.ask(ctx, b.a, "c2")
		wantText[*server.HubError](b, err, canceled)
		late := value("1")
		late.InvocationID = <-ids
		if _, err := b.b.SetResult(c2, &late); err != nil {
			b.Errorf("late answer: %v", err)
		}
		go b.answer(b.b, c2, value("2"))
		if got, err := b.ask(b.Context(), b.a, "c2"); err != nil || got != "2" {
			b.Errorf("result %s, error %v", got, err)
		}
	}},
	{"an answer that nobody waits for is unknown", func(b *bench) {
		c1 := b.connect(b.a, "c1", "")
		stray := value("1")
		stray.InvocationID = "stray"
		if known, err := b.a.SetResult(c1, &stray); known || err != nil {
			b.Errorf("SetResult = %v, %v, want false and no error", known, err)
		}
	}},
	{"S22 a result of another type is an error that says so", func(b *bench) {
		c2 := b.connect(b.b, "c2", "")
		go b.answer(b.b, c2, value(`"text"`))
		result, err := b.a.InvokeConnection(b.Context(), "c2", &protocol.Invocation{Target: "ask", Arguments: []any{}})
		b.ok(err)
		var n int
		if err := result.Codec.Unmarshal(result.Value, &n); err == nil || errors.Is(err, context.Canceled) {
			b.Errorf("a text was read as %d, error %v", n, err)
		}
	}},
}
