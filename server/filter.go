package server

import "slices"

// A Filter wraps what a hub does: calls, OnConnected, OnDisconnected. Each hook
// is given the rest of the chain as next and decides whether and how to go on;
// a nil hook goes on. Filters run in the order of Options.Filters, the first
// one outermost. Hooks may be called concurrently for different calls.
//
// Filters do not see calls that fail before the method: unknown methods,
// arguments that do not fit, callers that are not authorized.
type Filter struct {
	// Invoke wraps a hub method. What it returns is the client's result. A
	// streaming method's result is the stream, not its items. Without a call of
	// next the method does not run.
	Invoke func(call *Call, next func(*Call) (any, error)) (any, error)

	// OnConnected wraps the hub's OnConnected. An error refuses the connection;
	// one that next returned may be swallowed.
	OnConnected func(call *Call, next func(*Call) error) error

	// OnDisconnected wraps the hub's OnDisconnected.
	OnDisconnected func(call *Call, cause error, next func(*Call, error))
}

// chain is a hub's hooks with its filters around them, made once.
type chain struct {
	invoke         func(*Call) (any, error) // nil: no filter wraps calls
	onConnected    func(*Call) error        // nil: nothing to call
	onDisconnected func(*Call, error)
}

func newChain(table *methodTable, filters []Filter) chain {
	c := chain{onConnected: table.onConnected, onDisconnected: table.onDisconnected}
	for _, f := range slices.Backward(filters) {
		if f.Invoke != nil {
			next := c.invoke
			if next == nil {
				next = invokeMethod
			}
			c.invoke = func(call *Call) (any, error) { return f.Invoke(call, next) }
		}
		if f.OnConnected != nil {
			next := c.onConnected
			if next == nil {
				next = func(*Call) error { return nil }
			}
			c.onConnected = func(call *Call) error { return f.OnConnected(call, next) }
		}
		if f.OnDisconnected != nil {
			next := c.onDisconnected
			if next == nil {
				next = func(*Call, error) {}
			}
			c.onDisconnected = func(call *Call, cause error) { f.OnDisconnected(call, cause, next) }
		}
	}
	return c
}

// invokeMethod is the end of the chain.
func invokeMethod(call *Call) (any, error) {
	return call.inv.method.call(call, call.inv.args)
}
