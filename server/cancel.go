package server

// track makes a call known to CancelInvocation under its invocation id. It
// reports false if the id is in use, by a call that has reserved it as this one
// wants to; this one then must not begin. Calls that are over, or have no id, are
// not tracked, and of two calls that reserve nothing only the first is.
func (c *connection) track(inv *invocation) bool {
	if inv.id == "" {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if inv.untracked || c.running[inv.id] == inv {
		return true
	}
	if other := c.running[inv.id]; other != nil && (other.reservesID() || !inv.reservesID()) {
		return !inv.reservesID()
	}
	if c.running == nil {
		c.running = map[string]*invocation{}
	}
	c.running[inv.id] = inv
	inv.cancelable.Store(true)
	return true
}

// reservesID reports whether no other such call may have the same invocation id:
// it is a stream, or takes a context. Of the others ASP.NET Core keeps no record.
func (inv *invocation) reservesID() bool { return inv.streaming || inv.method.cancellable }

// untrack ends the call's context and forgets it.
func (c *connection) untrack(inv *invocation) {
	c.freeID(inv)
	inv.endContext()
}

// freeID lets another call have the invocation id.
func (c *connection) freeID(inv *invocation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	inv.untracked = true
	if c.running[inv.id] == inv {
		delete(c.running, inv.id)
	}
}

// cancelCall handles a CancelInvocation: the call's context ends, and an answer
// still follows. Unknown ids are ignored. Plain calls can be cancelled since
// .NET 11. Source: docs/reference/hub-protocol.md, sections 4.5 and 4.8.
func (c *connection) cancelCall(id string) {
	c.mu.Lock()
	inv := c.running[id]
	c.mu.Unlock()
	if inv != nil {
		inv.endContext()
	}
}
