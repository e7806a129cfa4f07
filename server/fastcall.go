package server

import "reflect"

// A fastCall calls a method of a common shape without reflection, which costs
// several allocations a call. args are the bound arguments.
type fastCall func(c *Call, args []any) (any, error)

// newFastCall returns nil for shapes that go through reflection.
func newFastCall(method reflect.Value) fastCall {
	switch f := method.Interface().(type) {
	case func(*Call) error:
		return func(c *Call, _ []any) (any, error) { return nil, f(c) }
	case func(*Call, string) error:
		return func(c *Call, a []any) (any, error) { return nil, f(c, *a[0].(*string)) }
	case func(*Call, string, string) error:
		return func(c *Call, a []any) (any, error) { return nil, f(c, *a[0].(*string), *a[1].(*string)) }
	case func(*Call, string, string, string) error:
		return func(c *Call, a []any) (any, error) {
			return nil, f(c, *a[0].(*string), *a[1].(*string), *a[2].(*string))
		}
	case func(*Call, string) (string, error):
		return func(c *Call, a []any) (any, error) { return f(c, *a[0].(*string)) }
	case func(*Call, string) string:
		return func(c *Call, a []any) (any, error) { return f(c, *a[0].(*string)), nil }
	case func(string) string:
		return func(_ *Call, a []any) (any, error) { return f(*a[0].(*string)), nil }
	case func(string) (string, error):
		return func(_ *Call, a []any) (any, error) { return f(*a[0].(*string)) }
	case func(int, int) int:
		return func(_ *Call, a []any) (any, error) { return f(*a[0].(*int), *a[1].(*int)), nil }
	case func(*Call, int) (int, error):
		return func(c *Call, a []any) (any, error) { return f(c, *a[0].(*int)) }
	}
	return nil
}
