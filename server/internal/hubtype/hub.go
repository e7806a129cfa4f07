package hubtype

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hubwire/hubwire/protocol"
)

// Special is what the application says of one method.
type Special struct {
	Name      string // what clients call it; empty for its Go name
	Hidden    bool   // clients do not see it
	Authorize bool   // there is a rule for who may call it
}

// A Hub is what clients can call, and what the server calls itself.
type Hub struct {
	Name    string // of the Go type; empty if it has none
	Methods []Method

	// It has the method.
	OnConnected, OnDisconnected, OnAuthenticationRefreshed bool
}

// A Method is how one method is called.
type Method struct {
	GoName    string
	Name      string // for clients
	TakesCall bool   // its first parameter is the *server.Call
	Params    []Param
	Result    Result
	Type      reflect.Type // of the result, or of the items that it streams; nil for none
	HasError  bool
}

// A Param is one parameter, without *server.Call.
type Param struct {
	Type    reflect.Type // what the method declares
	Item    reflect.Type // of a stream, else nil
	Context bool         // the call's context: clients send nothing for it
}

// Result is how a method answers.
type Result uint8

const (
	NoResult Result = iota
	Value
	Channel // <-chan T
	Seq     // iter.Seq[T]
	Seq2    // iter.Seq2[T, error]
)

var (
	typeError   = reflect.TypeFor[error]()
	typeContext = reflect.TypeFor[context.Context]()
)

// isHook reports whether name is that of a method which the server calls, and no
// client.
func isHook(name string) bool {
	return name == "OnConnected" || name == "OnDisconnected" || name == "OnAuthenticationRefreshed"
}

// A reader knows the type *server.Call, whose package imports this one.
type reader struct{ call reflect.Type }

// Read reads hub, a value of the application's type; call is *server.Call. The
// error has everything that is wrong with the hub.
func Read(hub reflect.Value, call reflect.Type, special map[string]Special) (Hub, error) {
	r := reader{call}
	if !hub.IsValid() || (hub.Kind() == reflect.Pointer && hub.IsNil()) {
		return Hub{}, errors.New("a hub must not be nil")
	}
	t := hub.Type()
	h := Hub{Name: name(t)}
	ofLibraries := LibraryMethods(t, call.Elem().PkgPath(), reflect.TypeFor[protocol.JSON]().PkgPath())
	errs := []error{checkReceiver(t, ofLibraries)}
	wrong := func(method string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("method %s: %w", method, err))
		}
	}
	taken := map[string]bool{}
	for i := range t.NumMethod() {
		name := t.Method(i).Name
		says, listed := special[name]
		switch {
		case ofLibraries[name] || says.Hidden:
		case name == "OnConnected":
			h.OnConnected = true
			wrong(name, r.checkOnConnected(hub.Method(i).Type()))
		case name == "OnAuthenticationRefreshed":
			h.OnAuthenticationRefreshed = true
			wrong(name, r.checkOnConnected(hub.Method(i).Type()))
		case name == "OnDisconnected":
			h.OnDisconnected = true
			wrong(name, r.checkOnDisconnected(hub.Method(i).Type()))
		default:
			m, err := r.method(name, hub.Method(i).Type(), says, listed)
			if lower := strings.ToLower(m.Name); err == nil && taken[lower] {
				err = fmt.Errorf("Duplicate definitions of '%s'. Overloading is not supported.", m.Name)
			} else if err == nil {
				taken[lower] = true
				h.Methods = append(h.Methods, m)
			}
			wrong(name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(special)) {
		if _, ok := t.MethodByName(name); !ok {
			wrong(name, fmt.Errorf("Options.Methods names it, but %s has no such method", t))
		} else {
			wrong(name, checkSpecial(name, special[name]))
		}
	}
	return h, errors.Join(errs...)
}

func name(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// checkOnConnected checks OnAuthenticationRefreshed, too, which is of the same type.
func (r reader) checkOnConnected(t reflect.Type) error {
	if t.NumIn() == 1 && t.In(0) == r.call && !t.IsVariadic() && t.NumOut() == 1 && t.Out(0) == typeError {
		return nil
	}
	return fmt.Errorf("is %s, must be func(*server.Call) error", t)
}

func (r reader) checkOnDisconnected(t reflect.Type) error {
	if t.NumIn() == 2 && t.In(0) == r.call && t.In(1) == typeError && !t.IsVariadic() && t.NumOut() == 0 {
		return nil
	}
	return fmt.Errorf("is %s, must be func(*server.Call, error)", t)
}

// method reads a method of type t, without its receiver.
func (r reader) method(name string, t reflect.Type, says Special, listed bool) (Method, error) {
	m := Method{GoName: name, Name: name}
	if says.Name != "" {
		m.Name = says.Name
	}
	if err := checkName(name, listed); err != nil {
		return m, err
	}
	if t.IsVariadic() {
		return m, errors.New("variadic methods cannot be called by clients; take a slice")
	}
	for i := range t.NumIn() {
		in := t.In(i)
		if in == r.call {
			if i > 0 {
				return m, errors.New("*server.Call must be the first parameter")
			}
			m.TakesCall = true
			continue
		}
		p, err := r.param(in)
		if err != nil {
			return m, fmt.Errorf("parameter %d: %w", i+1, err)
		}
		m.Params = append(m.Params, p)
	}
	return m, m.setResult(t)
}

func (r reader) param(t reflect.Type) (Param, error) {
	switch {
	case t == r.call.Elem():
		return Param{}, errors.New("server.Call is used by pointer; take a *server.Call")
	case t == typeContext:
		return Param{Type: t, Context: true}, nil
	case endless(t, map[reflect.Type]bool{}):
		return Param{}, fmt.Errorf("a %s is, or has, a pointer to its own type and to nothing else", t)
	case t.Kind() == reflect.Chan && t.ChanDir() == reflect.RecvDir:
		return Param{Type: t, Item: t.Elem()}, nil
	case IsSeq2(t):
		return Param{Type: t, Item: t.In(0).In(0)}, nil
	case t.Kind() == reflect.Chan:
		return Param{}, fmt.Errorf("a stream from the client is a <-chan, not a %s", t)
	case t.Kind() == reflect.Func, t.Kind() == reflect.UnsafePointer:
		return Param{}, fmt.Errorf("a %s cannot come from a client", t)
	case t.Kind() == reflect.Interface && t.NumMethod() > 0:
		return Param{}, fmt.Errorf("an interface with methods (%s) cannot come from a client", t)
	}
	return Param{Type: t}, nil
}

// endless reports whether t has a pointer that never comes to a value, as a
// type P *P is: decoders look for that value for ever. seen are types that were
// looked at.
func endless(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer:
		passed := map[reflect.Type]bool{}
		for t.Kind() == reflect.Pointer {
			if passed[t] {
				return true
			}
			passed[t] = true
			t = t.Elem()
		}
		return endless(t, seen)
	case reflect.Slice, reflect.Array, reflect.Chan:
		return endless(t.Elem(), seen)
	case reflect.Map:
		return endless(t.Key(), seen) || endless(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if endless(t.Field(i).Type, seen) {
				return true
			}
		}
	case reflect.Func: // iter.Seq2[T, error]
		return IsSeq2(t) && endless(t.In(0).In(0), seen)
	}
	return false
}

func (m *Method) setResult(t reflect.Type) error {
	n := t.NumOut()
	if n > 0 && t.Out(n-1) == typeError {
		m.HasError = true
		n--
	}
	switch {
	case n == 0:
		return nil
	case n > 1:
		return errors.New("must return nothing, a value, an error, or a value and an error")
	}
	out := t.Out(0)
	switch {
	case out.Kind() == reflect.Chan && out.ChanDir()&reflect.RecvDir == 0:
		return errors.New("cannot stream from a send-only channel")
	case out.Kind() == reflect.Chan:
		m.Result, m.Type = Channel, out.Elem()
	case IsSeq(out):
		m.Result, m.Type = Seq, out.In(0).In(0)
	case IsSeq2(out):
		m.Result, m.Type = Seq2, out.In(0).In(0)
	case out.Kind() == reflect.Func:
		return fmt.Errorf("a result of type %s cannot be sent", out)
	default:
		m.Result, m.Type = Value, out
	}
	return nil
}

// IsSeq reports whether t is an iter.Seq[T]: func(yield func(T) bool).
func IsSeq(t reflect.Type) bool { return isIterator(t, 1) }

// IsSeq2 reports whether t is an iter.Seq2[T, error].
func IsSeq2(t reflect.Type) bool { return isIterator(t, 2) && t.In(0).In(1) == typeError }

func isIterator(t reflect.Type, values int) bool {
	if t.Kind() != reflect.Func || t.NumIn() != 1 || t.NumOut() != 0 || t.IsVariadic() {
		return false
	}
	yield := t.In(0)
	return yield.Kind() == reflect.Func && !yield.IsVariadic() && yield.NumIn() == values &&
		yield.NumOut() == 1 && yield.Out(0).Kind() == reflect.Bool
}
