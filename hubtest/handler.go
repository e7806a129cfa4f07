package hubtest

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hubwire/hubwire/protocol"
)

// A handler is a method of a client.
type handler struct {
	target string
	f      reflect.Value
}

var errorType = reflect.TypeFor[error]()

// newHandler checks f, a func whose parameters are the arguments and which
// returns nothing, a result, an error, or both.
func newHandler(target string, f any) (*handler, error) {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Func || v.IsNil() || v.Type().IsVariadic() {
		return nil, fmt.Errorf("the handler of %s is a %T; want a func", target, f)
	}
	if t := v.Type(); t.NumOut() > 2 || t.NumOut() == 2 && t.Out(1) != errorType {
		return nil, fmt.Errorf("the handler of %s is a %T; it may return a result, an error, or both", target, f)
	}
	return &handler{target, v}, nil
}

// On calls f, from now on, when the hub calls the client's method target: a func
// that takes the arguments and returns nothing, a result, an error, or a result
// and an error; an error is a result of the client, too. Handlers run one after
// the other, and may call the hub. Arguments that do not fit fail the test.
// Letter case of target does not matter. On replaces what was there, and its
// messages are not seen by Expect.
func (c *Client) On(target string, f any) {
	c.t.Helper()
	h, err := newHandler(target, f)
	if err != nil {
		c.t.Fatalf("hubtest: On: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers[strings.ToLower(target)] = h
}

// handle calls the handler and answers.
func (h *handler) handle(m *Message) {
	result, err := h.call(m.args)
	misfit, isMisfit := err.(*misfitError)
	if isMisfit {
		m.client.t.Errorf("hubtest: %v: %v", m, misfit)
	}
	if !m.Asks() {
		if err != nil && !isMisfit {
			m.client.t.Errorf("hubtest: the handler of %v returns an error, and the hub waits for none: %v", m, err)
		}
		return
	}
	answer := h.answer(result, err)
	answer.InvocationID = m.id
	_ = m.client.Write(&answer) // a connection that has ended needs no result
}

// A misfitError says that arguments do not fit a handler.
type misfitError struct{ error }

// call calls the handler. hasResult is false if it returns none.
func (h *handler) call(args arguments) (result []reflect.Value, err error) {
	t := h.f.Type()
	in, pointers := make([]reflect.Value, t.NumIn()), make([]any, t.NumIn())
	for i := range in {
		in[i] = reflect.New(t.In(i))
		pointers[i] = in[i].Interface()
	}
	if err := args.scan(pointers); err != nil {
		return nil, &misfitError{err}
	}
	for i := range in {
		in[i] = in[i].Elem()
	}
	out := h.f.Call(in)
	if n := len(out); n > 0 && t.Out(n-1) == errorType {
		err, _ = out[n-1].Interface().(error)
		out = out[:n-1]
	}
	return out, err
}

// answer returns the Completion for the hub.
func (h *handler) answer(result []reflect.Value, err error) protocol.Completion {
	switch {
	case err != nil:
		return protocol.Completion{Kind: protocol.ResultError, Error: err.Error()}
	case len(result) == 0:
		return protocol.Completion{Kind: protocol.ResultVoid}
	}
	return protocol.Completion{Kind: protocol.ResultValue, Result: result[0].Interface()}
}
