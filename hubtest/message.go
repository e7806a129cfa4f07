package hubtest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hubwire/hubwire/protocol"
)

// A Message is a call of one of the client's methods by the hub, for which there
// is no handler.
type Message struct {
	Target string // the method that the hub has called

	client *Client
	id     string // not empty: the hub waits for an answer
	args   arguments
	err    error // the arguments could not be read
}

// String shows the message as a call, with its arguments in JSON.
func (m *Message) String() string { return m.Target + "(" + m.args.String() + ")" }

// Len is the number of arguments.
func (m *Message) Len() int { return len(m.args.raw) }

// Scan decodes the arguments into pointers, as many as there are. Otherwise it
// fails the test.
func (m *Message) Scan(args ...any) {
	m.client.t.Helper()
	err := m.err
	if err == nil {
		err = m.args.scan(args)
	}
	if err != nil {
		m.client.t.Fatalf("hubtest: %v: %v", m, err)
	}
}

// Asks reports whether the hub waits for an answer.
func (m *Message) Asks() bool { return m.id != "" }

// Answer answers the hub, which waits in server.Invoke, with a result.
func (m *Message) Answer(result any) {
	m.client.t.Helper()
	m.answer(protocol.Completion{Kind: protocol.ResultValue, Result: result})
}

// AnswerError answers the hub, which waits in server.Invoke, with an error.
func (m *Message) AnswerError(text string) {
	m.client.t.Helper()
	m.answer(protocol.Completion{Kind: protocol.ResultError, Error: text})
}

func (m *Message) answer(c protocol.Completion) {
	m.client.t.Helper()
	if !m.Asks() {
		m.client.t.Fatalf("hubtest: %v: the hub has sent it and waits for no answer", m)
	}
	c.InvocationID = m.id
	if err := m.client.Write(&c); err != nil {
		m.client.t.Fatalf("hubtest: answer to %v: %v", m, err)
	}
}

// receive is called by the goroutine that reads.
func (c *Client) receive(inv *protocol.Invocation) {
	m := &Message{Target: inv.Target, client: c, id: inv.InvocationID, args: arguments{c.config.codec, inv.RawArguments}, err: inv.ArgumentsErr}
	c.mu.Lock()
	h := c.handlers[strings.ToLower(inv.Target)]
	c.mu.Unlock()
	if h == nil {
		c.messages.Put(m)
		return
	}
	c.jobs.Put(func() { h.handle(m) })
}

// work calls handlers one after the other, on a goroutine of its own: the one
// that reads goes on, so that a handler may call the hub and get its answer.
func (c *Client) work() {
	for {
		job, ok := c.jobs.Next(nil)
		if !ok {
			return
		}
		job()
	}
}

// Next waits for the next message that no handler takes. It fails the test when
// Patience is over, or the connection has ended.
func (c *Client) Next() *Message {
	c.t.Helper()
	m, why := c.next()
	if m == nil {
		c.t.Fatalf("hubtest: no message has come %s", why)
	}
	return m
}

func (c *Client) next() (m *Message, why string) {
	ctx, cancel := context.WithTimeout(context.Background(), c.config.patience)
	defer cancel()
	conn := c.client()
	stop := make(chan struct{})
	go func() { // the queue outlives the connection: Reconnect goes on with it
		defer close(stop)
		select {
		case <-ctx.Done():
		case <-conn.Done():
		}
	}()
	m, ok := c.messages.Next(stop)
	cancel()
	<-stop
	if ok {
		return m, ""
	}
	if all := c.messages.All(); len(all) > 0 { // it has come together with the end
		for _, rest := range all[1:] {
			c.messages.Put(rest)
		}
		return all[0], ""
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, fmt.Sprintf("within %v", c.config.patience)
	}
	return nil, fmt.Sprintf("before the end of the connection (%v)", conn.Err())
}

// Expect waits for the next message that no handler takes and wants it to be
// this one: the same target and, in the client's hub protocol, the same
// arguments. Messages come in the order of the server; another one fails the
// test and is shown with what differs.
func (c *Client) Expect(target string, args ...any) *Message {
	c.t.Helper()
	want := encode(c.config.codec, args)
	m, why := c.next()
	switch {
	case m == nil:
		c.t.Fatalf("hubtest: %s(%v) has not come %s", target, want, why)
	case m.err != nil:
		c.t.Fatalf("hubtest: %s: %v", m.Target, m.err)
	case want.err != nil:
		c.t.Fatalf("hubtest: %s: %v", target, want.err)
	case m.Target != target:
		c.t.Fatalf("hubtest: another message\n got: %v\nwant: %s(%v)", m, target, want)
	}
	if different := differences(m.args, want.arguments); different != "" {
		c.t.Fatalf("hubtest: other arguments\n got: %v\nwant: %s(%v)\n%s", m, target, want, different)
	}
	return m
}

// ExpectNone fails the test if the server has sent a further message. It calls
// the server, whose answer comes after all that it has sent before: what this
// node sends later, or another node, is not seen.
func (c *Client) ExpectNone() {
	c.t.Helper()
	if err := c.barrier(); err != nil {
		c.t.Fatalf("hubtest: ExpectNone: %v", err)
	}
	if all := c.messages.All(); len(all) > 0 {
		c.t.Fatalf("hubtest: %d messages that nobody expects:\n%s", len(all), lines(all))
	}
}

// barrier waits until everything has come that was sent before. A stream of a
// method that no hub has does not wait for calls that are running.
func (c *Client) barrier() error {
	s, err := c.stream("hubtest: is there more?", nil)
	if err != nil {
		return err
	}
	s.Next(nil)
	if _, answered := errors.AsType[*CallError](s.err); !answered {
		return s.err
	}
	return nil
}

func lines[T any](list []T) string {
	var b strings.Builder
	for _, one := range list {
		fmt.Fprintf(&b, "\t%v\n", one)
	}
	return b.String()
}
