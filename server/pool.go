package server

import (
	"reflect"
	"strings"
	"sync"

	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// An invocation that no user code can keep is reused by later calls of the same
// method, with the variables that its arguments are decoded into: methods get what
// is in the variables, never a pointer to them. All of them are set to zero after the
// call, so what a call has decoded, slices, maps and what pointers point to, belongs
// to that call alone.
type invocationPool struct {
	reuse bool
	free  sync.Pool
}

// canReuse reports whether no user code sees what an invocation of m consists
// of: neither the Call, nor the variables in which values decode themselves.
func (m *method) canReuse() bool {
	if !m.plain() || m.takesCall || m.cancellable || m.authorize != nil {
		return false
	}
	for _, p := range m.params {
		if decodesItself(p.t) {
			return false
		}
	}
	return true
}

// decodesItself reports whether a method of the user's decodes a t, or a part
// that is stored in it: such a method is given a pointer, and may keep it.
func decodesItself(t reflect.Type) bool {
	if hubtype.Standard(t.PkgPath()) {
		return false
	}
	for methods, i := reflect.PointerTo(t), 0; i < methods.NumMethod(); i++ {
		if name := methods.Method(i).Name; strings.HasPrefix(name, "Unmarshal") || strings.HasPrefix(name, "Decode") {
			return true
		}
	}
	switch t.Kind() {
	case reflect.Array:
		return decodesItself(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if decodesItself(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// newInvocation returns an invocation of m, with a variable for each argument.
func (c *connection) newInvocation(m *method) *invocation {
	if !m.pool.reuse {
		inv := c.invocationOf(m)
		if inv.args = inv.one[:]; len(m.params) != len(inv.one) {
			inv.args = make([]any, len(m.params))
		}
		for i, p := range m.params {
			if p.argument() {
				inv.args[i] = reflect.New(p.t).Interface()
			}
		}
		return inv
	}
	if inv, ok := m.pool.free.Get().(*invocation); ok {
		inv.conn = c
		return inv
	}
	inv := &invocation{conn: c, method: m} // its user is never read
	inv.call.inv = inv
	for _, p := range m.params {
		inv.args = append(inv.args, reflect.New(p.t).Interface())
	}
	return inv
}

// invocationOf returns an invocation whose Call user code may see; m is nil in
// the hub's own hooks.
func (c *connection) invocationOf(m *method) *invocation {
	inv := &invocation{conn: c, method: m}
	inv.call.inv = inv
	if c.refreshes {
		user := c.User()
		inv.user = &user
	}
	return inv
}

// recycle gives an invocation back that is over, and that never had a goroutine
// of its own.
func (inv *invocation) recycle() {
	if !inv.method.pool.reuse {
		return
	}
	for _, variable := range inv.args {
		reflect.ValueOf(variable).Elem().SetZero()
	}
	inv.conn, inv.leader, inv.rare = nil, nil, nil
	inv.id, inv.streaming = "", false
	if inv.lazyCtx.made.Load() != nil {
		inv.lazyCtx.made.Store(nil)
	}
	inv.method.pool.free.Put(inv)
}
