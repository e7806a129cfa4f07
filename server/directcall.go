package server

// A methodCall calls a hub method. args are the bound arguments: pointers to the
// parameters' types, or the streams that the client sends.
type methodCall func(c *Call, args []any) (any, error)

// directCall calls a method expression of H, func(H, ...), without reflection,
// which costs half a microsecond and several allocations a call. It returns nil
// if the method has no common shape, or H is an interface. Common are up to
// three strings and numbers, which most methods take.
func directCall[H any](hub *instances[H], method any) methodCall {
	for _, shape := range []func(*instances[H], any) methodCall{
		take0[H],
		take1[H, string], take1[H, int],
		take2[H, string, string], take2[H, string, int], take2[H, int, string], take2[H, int, int],
		take3[H, string, string, string],
		give0[H, string], give0[H, int],
		give1[H, string, string], give1[H, string, int], give1[H, int, string], give1[H, int, int], give1[H, *string, *string],
		give2[H, string, string, string], give2[H, string, int, int], give2[H, int, int, int],
	} {
		if call := shape(hub, method); call != nil {
			return call
		}
	}
	return nil
}

// take0 to take3 are methods without a result, with so many parameters.
func take0[H any](hub *instances[H], method any) methodCall {
	switch f := method.(type) {
	case func(H):
		return func(c *Call, _ []any) (any, error) { f(hub.of(c)); return nil, nil }
	case func(H) error:
		return func(c *Call, _ []any) (any, error) { return nil, f(hub.of(c)) }
	case func(H, *Call):
		return func(c *Call, _ []any) (any, error) { f(hub.of(c), c); return nil, nil }
	case func(H, *Call) error:
		return func(c *Call, _ []any) (any, error) { return nil, f(hub.of(c), c) }
	}
	return nil
}

func take1[H, A any](hub *instances[H], method any) methodCall {
	switch f := method.(type) {
	case func(H, A):
		return func(c *Call, a []any) (any, error) { f(hub.of(c), *a[0].(*A)); return nil, nil }
	case func(H, A) error:
		return func(c *Call, a []any) (any, error) { return nil, f(hub.of(c), *a[0].(*A)) }
	case func(H, *Call, A):
		return func(c *Call, a []any) (any, error) { f(hub.of(c), c, *a[0].(*A)); return nil, nil }
	case func(H, *Call, A) error:
		return func(c *Call, a []any) (any, error) { return nil, f(hub.of(c), c, *a[0].(*A)) }
	}
	return nil
}

func take2[H, A, B any](hub *instances[H], method any) methodCall {
	switch f := method.(type) {
	case func(H, A, B):
		return func(c *Call, a []any) (any, error) { f(hub.of(c), *a[0].(*A), *a[1].(*B)); return nil, nil }
	case func(H, A, B) error:
		return func(c *Call, a []any) (any, error) { return nil, f(hub.of(c), *a[0].(*A), *a[1].(*B)) }
	case func(H, *Call, A, B):
		return func(c *Call, a []any) (any, error) { f(hub.of(c), c, *a[0].(*A), *a[1].(*B)); return nil, nil }
	case func(H, *Call, A, B) error:
		return func(c *Call, a []any) (any, error) { return nil, f(hub.of(c), c, *a[0].(*A), *a[1].(*B)) }
	}
	return nil
}

func take3[H, A, B, C any](hub *instances[H], method any) methodCall {
	switch f := method.(type) {
	case func(H, A, B, C) error:
		return func(c *Call, a []any) (any, error) {
			return nil, f(hub.of(c), *a[0].(*A), *a[1].(*B), *a[2].(*C))
		}
	case func(H, *Call, A, B, C) error:
		return func(c *Call, a []any) (any, error) {
			return nil, f(hub.of(c), c, *a[0].(*A), *a[1].(*B), *a[2].(*C))
		}
	}
	return nil
}

// give0 to give2 are methods with a result, with so many parameters.
func give0[H, R any](hub *instances[H], method any) methodCall {
	switch f := method.(type) {
	case func(H) R:
		return func(c *Call, _ []any) (any, error) { return f(hub.of(c)), nil }
	case func(H) (R, error):
		return func(c *Call, _ []any) (any, error) { return f(hub.of(c)) }
	case func(H, *Call) R:
		return func(c *Call, _ []any) (any, error) { return f(hub.of(c), c), nil }
	case func(H, *Call) (R, error):
		return func(c *Call, _ []any) (any, error) { return f(hub.of(c), c) }
	}
	return nil
}

func give1[H, A, R any](hub *instances[H], method any) methodCall {
	switch f := method.(type) {
	case func(H, A) R:
		return func(c *Call, a []any) (any, error) { return f(hub.of(c), *a[0].(*A)), nil }
	case func(H, A) (R, error):
		return func(c *Call, a []any) (any, error) { return f(hub.of(c), *a[0].(*A)) }
	case func(H, *Call, A) R:
		return func(c *Call, a []any) (any, error) { return f(hub.of(c), c, *a[0].(*A)), nil }
	case func(H, *Call, A) (R, error):
		return func(c *Call, a []any) (any, error) { return f(hub.of(c), c, *a[0].(*A)) }
	}
	return nil
}

func give2[H, A, B, R any](hub *instances[H], method any) methodCall {
	switch f := method.(type) {
	case func(H, A, B) R:
		return func(c *Call, a []any) (any, error) { return f(hub.of(c), *a[0].(*A), *a[1].(*B)), nil }
	case func(H, A, B) (R, error):
		return func(c *Call, a []any) (any, error) { return f(hub.of(c), *a[0].(*A), *a[1].(*B)) }
	case func(H, *Call, A, B) R:
		return func(c *Call, a []any) (any, error) { return f(hub.of(c), c, *a[0].(*A), *a[1].(*B)), nil }
	case func(H, *Call, A, B) (R, error):
		return func(c *Call, a []any) (any, error) { return f(hub.of(c), c, *a[0].(*A), *a[1].(*B)) }
	}
	return nil
}
