package server

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// A methodTable is what clients can call on a hub, made once at registration.
type methodTable struct {
	hubName        string
	typeName       string
	byName         map[string]*method // lower case
	exact          map[string]*method // as registered, for clients that spell so
	onConnected    func(*Call) error
	onDisconnected func(*Call, error)
}

// A method is the plan of how one hub method is called.
type method struct {
	name      string // as registered; error texts use it
	call      reflect.Value
	fast      fastCall // not nil for common shapes
	pooled    bool     // no user code sees its *Call
	takesCall bool
	params    []parameter // without *Call
	arguments int         // how many of params come from the message
	streams   int         // how many are streams that the client sends
	result    resultShape
	hasError  bool
	authorize func(*Call) error
	waits     atomic.Bool // a stream of it has kept its goroutine once
}

type parameter struct {
	t    reflect.Type // what the method declares
	item reflect.Type // element type of a stream, else nil
}

type resultShape uint8

const (
	noResult resultShape = iota
	valueResult
	channelResult // <-chan T
	seqResult     // iter.Seq[T]
	seq2Result    // iter.Seq2[T, error]
)

// streamsResult reports whether clients must call m with a StreamInvocation.
func (m *method) streamsResult() bool { return m.result >= channelResult }

// plain reports whether m takes a permit: it streams in neither direction.
func (m *method) plain() bool { return !m.streamsResult() && m.streams == 0 }

// find looks a method up without regard to letter case.
func (t *methodTable) find(target string) *method {
	if m, ok := t.exact[target]; ok {
		return m
	}
	return t.byName[strings.ToLower(target)]
}

var (
	typeCall  = reflect.TypeFor[*Call]()
	typeError = reflect.TypeFor[error]()
)

// newMethodTable plans all exported methods of hub.
func newMethodTable(hub any, special map[string]MethodOptions) (*methodTable, error) {
	v := reflect.ValueOf(hub)
	if !v.IsValid() || (v.Kind() == reflect.Pointer && v.IsNil()) {
		return nil, errors.New("a hub must not be nil")
	}
	t := v.Type()
	table := &methodTable{hubName: hubName(t), typeName: t.String(), byName: map[string]*method{}, exact: map[string]*method{}}
	foreign := hubtype.Foreign(t, libraries...)
	errs := []error{checkReceiver(t, foreign)}
	for i := range t.NumMethod() {
		name := t.Method(i).Name
		options, listed := special[name]
		if foreign[name] || options.Hidden {
			continue
		}
		if err := checkName(name, listed || name == "OnConnected" || name == "OnDisconnected"); err != nil {
			errs = append(errs, fmt.Errorf("method %s: %w", name, err))
			continue
		}
		if err := table.addMethod(v, name, options); err != nil {
			errs = append(errs, fmt.Errorf("method %s: %w", name, err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(special)) {
		if _, ok := t.MethodByName(name); !ok {
			errs = append(errs, fmt.Errorf("method %s: Options.Methods names it, but %s has no such method", name, t))
		} else if err := checkSpecial(name, special[name]); err != nil {
			errs = append(errs, fmt.Errorf("method %s: %w", name, err))
		}
	}
	return table, errors.Join(errs...)
}

func (t *methodTable) addMethod(hub reflect.Value, name string, special MethodOptions) error {
	call := hub.MethodByName(name)
	switch name {
	case "OnConnected":
		f, ok := call.Interface().(func(*Call) error)
		if !ok {
			return fmt.Errorf("is %s, must be func(*server.Call) error", call.Type())
		}
		t.onConnected = f
		return nil
	case "OnDisconnected":
		f, ok := call.Interface().(func(*Call, error))
		if !ok {
			return fmt.Errorf("is %s, must be func(*server.Call, error)", call.Type())
		}
		t.onDisconnected = f
		return nil
	}
	m, err := newMethod(hub, name, special)
	if err != nil {
		return err
	}
	if _, taken := t.byName[strings.ToLower(m.name)]; taken {
		return fmt.Errorf("Duplicate definitions of '%s'. Overloading is not supported.", m.name)
	}
	t.byName[strings.ToLower(m.name)] = m
	t.exact[m.name] = m
	return nil
}

func newMethod(hub reflect.Value, name string, special MethodOptions) (*method, error) {
	call := hub.MethodByName(name)
	m := &method{name: name, call: call, authorize: special.Authorize}
	if special.Name != "" {
		m.name = special.Name
	}
	t := call.Type()
	if t.IsVariadic() {
		return nil, errors.New("variadic methods cannot be called by clients; take a slice")
	}
	for i := range t.NumIn() {
		in := t.In(i)
		if in == typeCall {
			if i > 0 {
				return nil, errors.New("*server.Call must be the first parameter")
			}
			m.takesCall = true
			continue
		}
		p, err := newParameter(in)
		if err != nil {
			return nil, fmt.Errorf("parameter %d: %w", i+1, err)
		}
		m.params = append(m.params, p)
		if p.item != nil {
			m.streams++
		} else {
			m.arguments++
		}
	}
	if err := m.setResults(t); err != nil {
		return nil, err
	}
	if m.plain() {
		m.fast = newFastCall(hub, name)
	}
	return m, nil
}

func (m *method) setResults(t reflect.Type) error {
	outs := slices.Collect(func(yield func(reflect.Type) bool) {
		for i := range t.NumOut() {
			if !yield(t.Out(i)) {
				return
			}
		}
	})
	if n := len(outs); n > 0 && outs[n-1] == typeError {
		m.hasError = true
		outs = outs[:n-1]
	}
	switch {
	case len(outs) == 0:
		return nil
	case len(outs) > 1:
		return errors.New("must return nothing, a value, an error, or a value and an error")
	}
	out := outs[0]
	m.result = valueResult
	switch {
	case out.Kind() == reflect.Chan && out.ChanDir()&reflect.RecvDir == 0:
		return errors.New("cannot stream from a send-only channel")
	case out.Kind() == reflect.Chan:
		m.result = channelResult
	case isSeq(out):
		m.result = seqResult
	case isSeq2(out):
		m.result = seq2Result
	case out.Kind() == reflect.Func:
		return fmt.Errorf("a result of type %s cannot be sent", out)
	}
	return nil
}

func newParameter(t reflect.Type) (parameter, error) {
	switch {
	case t == typeCall.Elem():
		return parameter{}, errors.New("server.Call is used by pointer; take a *server.Call")
	case t.Kind() == reflect.Chan && t.ChanDir() == reflect.RecvDir:
		return parameter{t: t, item: t.Elem()}, nil
	case isSeq2(t):
		return parameter{t: t, item: t.In(0).In(0)}, nil
	case t.Kind() == reflect.Chan:
		return parameter{}, fmt.Errorf("a stream from the client is a <-chan, not a %s", t)
	case t.Kind() == reflect.Func, t.Kind() == reflect.UnsafePointer:
		return parameter{}, fmt.Errorf("a %s cannot come from a client", t)
	case t.Kind() == reflect.Interface && t.NumMethod() > 0:
		return parameter{}, fmt.Errorf("an interface with methods (%s) cannot come from a client", t)
	}
	return parameter{t: t}, nil
}

// isSeq reports whether t is an iter.Seq[T]: func(yield func(T) bool).
func isSeq(t reflect.Type) bool { return isIterator(t, 1) }

// isSeq2 reports whether t is an iter.Seq2[T, error].
func isSeq2(t reflect.Type) bool { return isIterator(t, 2) && t.In(0).In(1) == typeError }

func isIterator(t reflect.Type, values int) bool {
	if t.Kind() != reflect.Func || t.NumIn() != 1 || t.NumOut() != 0 || t.IsVariadic() {
		return false
	}
	yield := t.In(0)
	return yield.Kind() == reflect.Func && !yield.IsVariadic() && yield.NumIn() == values &&
		yield.NumOut() == 1 && yield.Out(0).Kind() == reflect.Bool
}

func hubName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// libraries are the packages of this module whose types users may embed without
// giving their methods to clients.
var libraries = []string{reflect.TypeFor[Hub]().PkgPath(), reflect.TypeFor[protocol.JSON]().PkgPath()}
