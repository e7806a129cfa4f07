package azure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// waitTime bounds everything that a test waits for.
const waitTime = 90 * time.Second

// A line is what clients.mjs says.
type line struct {
	N      int
	Result any
	Error  string
	Client string
	Event  string
	Args   []any
}

// officialClients are clients of the official JavaScript library, in a process of
// theirs. They are for the goroutine of the test.
type officialClients struct {
	t     *testing.T
	in    io.Writer
	lines chan line
	n     int
	kept  []line // events that nobody has asked for yet
}

func startClients(t *testing.T) *officialClients {
	t.Helper()
	c := &officialClients{t: t, lines: make(chan line, 1000)}
	c.in = harness.Talk(t, harness.Script(t, harness.Modules(t, "../js"), "clients.mjs"), c.read)
	return c
}

// read passes on what the process says, while somebody may want it.
func (c *officialClients) read(out io.Reader) {
	defer close(c.lines)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			l = line{Event: "odd", Error: lines.Text()}
		}
		select {
		case c.lines <- l:
		case <-c.t.Context().Done():
		}
	}
}

// do tells a client to do something and returns what came of it.
func (c *officialClients) do(client, what string, more map[string]any) (any, error) {
	c.t.Helper()
	c.n++
	command := map[string]any{"n": c.n, "client": client, "do": what}
	for name, value := range more {
		command[name] = value
	}
	text, err := json.Marshal(command)
	if err == nil {
		_, err = c.in.Write(append(text, '\n'))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	n := c.n
	l := c.next(fmt.Sprintf("%s of %s", what, client), func(l line) bool { return l.N == n })
	if l.Error != "" {
		return nil, fmt.Errorf("%s of %s: %s", what, client, l.Error)
	}
	return l.Result, nil
}

// next returns the next line that is wanted. Others are kept.
func (c *officialClients) next(what string, wanted func(line) bool) line {
	c.t.Helper()
	for i, l := range c.kept {
		if wanted(l) {
			c.kept = append(c.kept[:i:i], c.kept[i+1:]...)
			return l
		}
	}
	limit := time.After(waitTime)
	for {
		select {
		case l, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("the clients ended before %s; they said %v", what, c.kept)
			}
			if wanted(l) {
				return l
			}
			c.kept = append(c.kept, l)
		case <-limit:
			c.t.Fatalf("no %s; the clients said %v", what, c.kept)
		}
	}
}

// event waits for an event of a client.
func (c *officialClients) event(client, event string) line {
	c.t.Helper()
	return c.next(event+" of "+client, func(l line) bool { return l.Client == client && l.Event == event })
}

// never fails the test if a client had an event.
func (c *officialClients) never(client string, events ...string) {
	c.t.Helper()
	for _, l := range c.kept {
		for _, event := range events {
			if l.Client == client && l.Event == event {
				c.t.Errorf("%s of %s: %q", event, client, l.Error)
			}
		}
	}
}

func (c *officialClients) start(client, url, transport, protocol string) {
	c.t.Helper()
	if _, err := c.do(client, "start", map[string]any{"url": url, "transport": transport, "protocol": protocol}); err != nil {
		c.t.Fatal(err)
	}
}

// call calls a hub method, which must succeed.
func (c *officialClients) call(client, method string, args ...any) any {
	c.t.Helper()
	result, err := c.do(client, "call", map[string]any{"method": method, "args": append([]any{}, args...)})
	if err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	return result
}
