package server

import (
	"reflect"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// Calls of methods that do not ask for *Call, in a hub without filters, are
// never seen by user code: they come from a pool and bring room for what a
// short call needs.
var callPool = sync.Pool{New: func() any { return &Call{room: &callRoom{}} }}

type callRoom struct {
	args    [3]any
	strings [3]string
	ints    [3]int
	answer  protocol.Completion
}

// newCall returns a call of m, from the pool if nobody can keep it.
func (c *connection) newCall(m *method) *Call {
	if !m.pooled {
		return c.call(m)
	}
	call := callPool.Get().(*Call)
	call.conn, call.method = c, m
	return call
}

// call returns a call that user code may see; m is nil in the hub's own hooks.
func (c *connection) call(m *method) *Call {
	call := &Call{conn: c, method: m}
	if c.refreshes {
		call.user = c.User()
	}
	return call
}

// recycle gives a call back that has run inline and has returned in time.
func (c *Call) recycle() {
	if c.room == nil {
		return
	}
	*c.room = callRoom{}
	c.conn, c.method, c.id, c.streaming, c.args = nil, nil, "", false, nil
	c.rest, c.over = nil, false
	callPool.Put(c)
}

// list returns room for n bound arguments.
func (r *callRoom) list(n int) []any {
	if r == nil || n > len(r.args) {
		return make([]any, n)
	}
	return r.args[:n:n]
}

// value returns a pointer to a new t, for the i-th parameter.
func (r *callRoom) value(t reflect.Type, i int) any {
	if r != nil && i < len(r.args) {
		switch t {
		case typeString:
			return &r.strings[i]
		case typeInt:
			return &r.ints[i]
		}
	}
	return reflect.New(t).Interface()
}

var (
	typeString = reflect.TypeFor[string]()
	typeInt    = reflect.TypeFor[int]()
)
