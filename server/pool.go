package server

import (
	"reflect"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// Calls of methods that do not ask for *Call, in a hub without filters, are
// never seen by user code: they come from a pool and bring room for what a
// short call needs.
var callPool = sync.Pool{New: func() any { return newPooled() }}

type callRoom struct {
	args    [3]any
	strings [3]string
	ints    [3]int
	answer  protocol.Completion
}

func newPooled() *invocation {
	i := &invocation{room: &callRoom{}}
	i.call.inv = i
	return i
}

// newInvocation returns an invocation of m, from the pool if nobody can keep it.
func (c *connection) newInvocation(m *method) *invocation {
	if !m.pooled {
		return c.invocationOf(m)
	}
	i := callPool.Get().(*invocation)
	i.conn, i.method = c, m
	return i
}

// invocationOf returns an invocation whose Call user code may see; m is nil in
// the hub's own hooks.
func (c *connection) invocationOf(m *method) *invocation {
	i := &invocation{conn: c, method: m}
	i.call.inv = i
	if c.refreshes {
		i.user = c.User()
	}
	return i
}

// recycle gives an invocation back that has run inline and has returned in time.
func (c *invocation) recycle() {
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
