package server

import (
	"reflect"
	"unsafe"
)

// A fastCall calls a method of a common shape without reflection, which costs
// half a microsecond and several allocations a call. args are the bound
// arguments: pointers to the parameters' types.
type fastCall func(c *Call, args []any) (any, error)

// A boundMethod is a method of a hub and the hub it is called on.
type boundMethod struct {
	hub  unsafe.Pointer // a pointer to the hub's struct
	code unsafe.Pointer // func(*T, ...)
}

// shapes are the types of methods that are called directly, without their
// receiver.
var shapes = map[reflect.Type]func(boundMethod) fastCall{}

func init() {
	result0[string]()
	result0[int]()
	result1[string, string]()
	result1[*string, *string]()
	result1[int, int]()
	result1[string, int]()
	result1[int, string]()
	result2[string, string, string]()
	result2[int, int, int]()
	shapes[reflect.TypeFor[func(*Call) error]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, *Call) error](m)
		return func(c *Call, _ []any) (any, error) { return nil, f(m.hub, c) }
	}
	shapes[reflect.TypeFor[func(*Call, string, string, string) error]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, *Call, string, string, string) error](m)
		return func(c *Call, a []any) (any, error) {
			return nil, f(m.hub, c, *a[0].(*string), *a[1].(*string), *a[2].(*string))
		}
	}
}

// result0 are the shapes with one or two parameters of type A and no result.
func result0[A any]() {
	shapes[reflect.TypeFor[func(*Call, A) error]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, *Call, A) error](m)
		return func(c *Call, a []any) (any, error) { return nil, f(m.hub, c, *a[0].(*A)) }
	}
	shapes[reflect.TypeFor[func(*Call, A, A) error]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, *Call, A, A) error](m)
		return func(c *Call, a []any) (any, error) { return nil, f(m.hub, c, *a[0].(*A), *a[1].(*A)) }
	}
}

// result1 are the shapes with one parameter of type A and a result of type R.
func result1[A, R any]() {
	shapes[reflect.TypeFor[func(A) R]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, A) R](m)
		return func(_ *Call, a []any) (any, error) { return f(m.hub, *a[0].(*A)), nil }
	}
	shapes[reflect.TypeFor[func(A) (R, error)]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, A) (R, error)](m)
		return func(_ *Call, a []any) (any, error) { return f(m.hub, *a[0].(*A)) }
	}
	shapes[reflect.TypeFor[func(*Call, A) R]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, *Call, A) R](m)
		return func(c *Call, a []any) (any, error) { return f(m.hub, c, *a[0].(*A)), nil }
	}
	shapes[reflect.TypeFor[func(*Call, A) (R, error)]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, *Call, A) (R, error)](m)
		return func(c *Call, a []any) (any, error) { return f(m.hub, c, *a[0].(*A)) }
	}
}

// result2 are the shapes with parameters of types A and B and a result.
func result2[A, B, R any]() {
	shapes[reflect.TypeFor[func(A, B) R]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, A, B) R](m)
		return func(_ *Call, a []any) (any, error) { return f(m.hub, *a[0].(*A), *a[1].(*B)), nil }
	}
	shapes[reflect.TypeFor[func(*Call, A, B) (R, error)]()] = func(m boundMethod) fastCall {
		f := as[func(unsafe.Pointer, *Call, A, B) (R, error)](m)
		return func(c *Call, a []any) (any, error) { return f(m.hub, c, *a[0].(*A), *a[1].(*B)) }
	}
}

// newFastCall returns nil for shapes that go through reflection.
func newFastCall(hub reflect.Value, name string) fastCall {
	shape := shapes[hub.MethodByName(name).Type()]
	if shape == nil {
		return nil
	}
	return shape(codeOf(hub, name))
}

// codeOf finds the code of a method. A method value made by reflection would do,
// but each of its calls goes through reflection again.
func codeOf(hub reflect.Value, name string) boundMethod {
	if hub.Kind() != reflect.Pointer { // a copy that methods can be called on by pointer
		copied := reflect.New(hub.Type())
		copied.Elem().Set(hub)
		hub = copied
	}
	m, _ := hub.Type().MethodByName(name)
	// A func is a pointer, which an interface holds as it is, behind its type.
	function := m.Func.Interface()
	return boundMethod{hub: hub.UnsafePointer(), code: (*[2]unsafe.Pointer)(unsafe.Pointer(&function))[1]}
}

// as gives the code of a method its type, but for the receiver's: all pointers
// are passed alike, so func(*T, A) R can be called as func(unsafe.Pointer, A) R.
func as[F any](m boundMethod) F { return *(*F)(unsafe.Pointer(&m.code)) }
