package server

// track makes a call known to CancelInvocation under its invocation id. It
// reports false if a call of that id is known already; a stream then must not
// begin. Calls that are over, or have no id, are not tracked.
func (c *HubConnection) track(call *Call) bool {
	if call.id == "" {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.untracked || c.running[call.id] == call {
		return true
	}
	if _, taken := c.running[call.id]; taken {
		return false
	}
	if c.running == nil {
		c.running = map[string]*Call{}
	}
	c.running[call.id] = call
	call.cancelable = true
	return true
}

// untrack ends the call's context and forgets it.
func (c *HubConnection) untrack(call *Call) {
	c.mu.Lock()
	call.untracked = true
	if c.running[call.id] == call {
		delete(c.running, call.id)
	}
	c.mu.Unlock()
	call.endContext()
}

// cancelCall obeys a CancelInvocation: the call's context ends, and an answer
// still follows. Unknown ids are ignored. Plain calls can be cancelled since
// .NET 11. Source: hub-protocol reference, sections 4.5 and 4.8.
func (c *HubConnection) cancelCall(id string) {
	c.mu.Lock()
	call := c.running[id]
	c.mu.Unlock()
	if call != nil {
		call.endContext()
	}
}
