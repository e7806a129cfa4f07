package hubgen

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// A model is a hub as both languages see it.
type model struct {
	name   string
	doc    string
	hub    []function // what clients call
	client []function // what the server calls
	source *Source
}

// A function is one method of the hub or of the clients.
type function struct {
	name    string
	doc     string
	args    []argument
	result  reflect.Type // nil for none
	streams bool         // result is the type of the items
	named   bool         // the caller has named the arguments
}

type argument struct {
	name   string
	t      reflect.Type
	stream bool // t is the type of the items
}

// libraries are the packages of this module whose types give hubs no methods.
var libraries = []string{reflect.TypeFor[server.Call]().PkgPath(), reflect.TypeFor[protocol.JSON]().PkgPath()}

var (
	typeCall  = reflect.TypeFor[*server.Call]()
	typeError = reflect.TypeFor[error]()
)

// newModel reads the hub, the options that rename its methods, and the
// declarations of client methods. It reports everything that is wrong at once.
func newModel(hub any, opts *server.Options, extra []any) (*model, error) {
	v := reflect.ValueOf(hub)
	if !v.IsValid() || (v.Kind() == reflect.Pointer && v.IsNil()) {
		return nil, errors.New("hubgen: a hub must not be nil")
	}
	t := v.Type()
	m := &model{name: hubName(t)}
	if m.name == "" {
		return nil, fmt.Errorf("hubgen: a hub of type %s has no name", t)
	}
	var errs []error
	for _, e := range extra {
		if s, ok := e.(*Source); ok {
			m.source = s
			m.doc = s.typeDoc(m.name)
			continue
		}
		f, err := clientFunction(e)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m.client = append(m.client, f)
	}
	for i := range m.client {
		m.client[i].describe(m.source)
	}
	errs = append(errs, m.addHub(t, opts)...)
	for _, list := range [][]function{m.hub, m.client} {
		errs = append(errs, duplicates(list)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("hubgen: %w", err)
	}
	return m, nil
}

// describe adds what the source says of a client method. Names that the caller
// has given stay, and names of another number than the arguments are none.
func (f *function) describe(source *Source) {
	said := source.client(f.name)
	f.doc = said.doc
	if f.named || len(said.args) != len(f.args) {
		return
	}
	for i, name := range said.args {
		f.args[i].name = name
	}
}

func hubName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return identifier(t.Name())
}

func (m *model) addHub(t reflect.Type, opts *server.Options) (errs []error) {
	var special map[string]server.MethodOptions
	if opts != nil {
		special = opts.Methods
	}
	foreign := hubtype.Foreign(t, libraries...)
	for i := range t.NumMethod() {
		method := t.Method(i)
		if foreign[method.Name] || special[method.Name].Hidden || method.Name == "OnConnected" || method.Name == "OnDisconnected" {
			continue
		}
		f, err := m.hubFunction(method)
		if err != nil {
			errs = append(errs, fmt.Errorf("method %s: %w", method.Name, err))
			continue
		}
		if name := special[method.Name].Name; name != "" {
			f.name = name
		}
		m.hub = append(m.hub, f)
	}
	for name := range special {
		if _, ok := t.MethodByName(name); !ok {
			errs = append(errs, fmt.Errorf("method %s: Options.Methods names it, but %s has no such method", name, t))
		}
	}
	return errs
}

// hubFunction follows the rules by which server registers methods.
func (m *model) hubFunction(method reflect.Method) (function, error) {
	t := method.Type
	f := function{name: method.Name, doc: m.source.methodDoc(m.name, method.Name)}
	if t.IsVariadic() {
		return f, errors.New("variadic methods cannot be called by clients; take a slice")
	}
	names := m.source.parameters(m.name, method.Name)
	for i := 1; i < t.NumIn(); i++ { // 0 is the receiver
		in := t.In(i)
		if in == typeCall {
			if i > 1 {
				return f, errors.New("*server.Call must be the first parameter")
			}
			continue
		}
		a := argument{name: "arg" + strconv.Itoa(len(f.args)+1), t: in}
		if i-1 < len(names) && names[i-1] != "" && names[i-1] != "_" {
			a.name = names[i-1]
		}
		switch {
		case in.Kind() == reflect.Chan && in.ChanDir() == reflect.RecvDir:
			a.t, a.stream = in.Elem(), true
		case isSeq2(in):
			a.t, a.stream = in.In(0).In(0), true
		case !sendable(in):
			return f, fmt.Errorf("parameter %d: a %s cannot come from a client", i, in)
		}
		f.args = append(f.args, a)
	}
	return f, f.setResult(t)
}

func (f *function) setResult(t reflect.Type) error {
	var outs []reflect.Type
	for i := range t.NumOut() {
		outs = append(outs, t.Out(i))
	}
	if n := len(outs); n > 0 && outs[n-1] == typeError {
		outs = outs[:n-1]
	}
	if len(outs) == 0 {
		return nil
	}
	if len(outs) > 1 {
		return errors.New("must return nothing, a value, an error, or a value and an error")
	}
	out := outs[0]
	switch {
	case out.Kind() == reflect.Chan && out.ChanDir()&reflect.RecvDir == 0:
		return errors.New("cannot stream from a send-only channel")
	case out.Kind() == reflect.Chan:
		f.result, f.streams = out.Elem(), true
	case isSeq(out), isSeq2(out):
		f.result, f.streams = out.In(0).In(0), true
	case !sendable(out):
		return fmt.Errorf("a result of type %s cannot be sent", out)
	default:
		f.result = out
	}
	return nil
}

func sendable(t reflect.Type) bool {
	return !slices.Contains([]reflect.Kind{reflect.Func, reflect.Chan, reflect.UnsafePointer}, t.Kind())
}

// isSeq reports whether t is an iter.Seq[T].
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

// duplicates finds names that clients, who ignore letter case, cannot tell apart.
func duplicates(list []function) (errs []error) {
	seen := map[string]bool{}
	for _, f := range list {
		lower := strings.ToLower(f.name)
		if seen[lower] {
			errs = append(errs, fmt.Errorf("two methods are called %q", f.name))
		}
		seen[lower] = true
	}
	return errs
}
