package server

// track makes a call known to CancelInvocation under its invocation id. It
// reports false if the id is in use, by a call that has reserved it as this one
// wants to; this one then must not begin. Calls that are over, or have no id, are
// not tracked, and of two calls that reserve nothing only the first is.
func (c *connection) track(call *invocation) bool {
	if call.id == "" {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.untracked || c.running[call.id] == call {
		return true
	}
	if other := c.running[call.id]; other != nil && (other.reservesID() || !call.reservesID()) {
		return !call.reservesID()
	}
	if c.running == nil {
		c.running = map[string]*invocation{}
	}
	c.running[call.id] = call
	call.cancelable.Store(true)
	return true
}

// reservesID reports whether no other such call may have the same invocation id:
// it is a stream, or takes a context. Of the others ASP.NET Core keeps no record.
func (c *invocation) reservesID() bool { return c.streaming || c.method.cancellable }

// untrack ends the call's context and forgets it.
func (c *connection) untrack(call *invocation) {
	c.freeID(call)
	call.endContext()
}

// freeID lets another call have the invocation id.
func (c *connection) freeID(call *invocation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.untracked = true
	if c.running[call.id] == call {
		delete(c.running, call.id)
	}
}

// cancelCall obeys a CancelInvocation: the call's context ends, and an answer
// still follows. Unknown ids are ignored. Plain calls can be cancelled since
// .NET 11. Source: docs/reference/hub-protocol.md, sections 4.5 and 4.8.
func (c *connection) cancelCall(id string) {
	c.mu.Lock()
	call := c.running[id]
	c.mu.Unlock()
	if call != nil {
		call.endContext()
	}
}
