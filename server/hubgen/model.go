package hubgen

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// A model is a hub as all languages see it.
type model struct {
	name   string
	doc    string
	hub    []function // what clients call
	client []function // what the server calls
	source *Source
	packed bool // the types are those of MessagePack, not of JSON

	namespace Namespace // in C#
	info      Info      // of an AsyncAPI document
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

var typeCall = reflect.TypeFor[*server.Call]()

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
		errs = append(errs, m.add(e))
	}
	for i := range m.client {
		m.client[i].describe(m.source)
	}
	errs = append(errs, m.addHub(v, opts))
	errs = append(errs, duplicates(m.client)...)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("hubgen: %w", err)
	}
	return m, nil
}

// add takes one of the things that the caller says beside the hub.
func (m *model) add(extra any) error {
	switch extra := extra.(type) {
	case *Source:
		m.source = extra
		m.doc = extra.typeDoc(m.name)
		return nil
	case Namespace:
		m.namespace = extra
		return nil
	case Info:
		m.info = extra
		return nil
	case protocol.Codec:
		m.packed = extra.Name() == protocol.MessagePack{}.Name()
		if !m.packed && extra.Name() != (protocol.JSON{}).Name() {
			return fmt.Errorf("protocol %q: the types of json and messagepack are known", extra.Name())
		}
		return nil
	}
	f, err := clientFunction(extra)
	if err == nil {
		m.client = append(m.client, f)
	}
	return err
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

// addHub describes the methods that the server would register.
func (m *model) addHub(hub reflect.Value, opts *server.Options) error {
	special := map[string]hubtype.Special{}
	if opts != nil {
		for name, says := range opts.Methods {
			special[name] = hubtype.Special{Name: says.Name, Hidden: says.Hidden, Authorize: says.Authorize != nil}
		}
	}
	read, err := hubtype.Read(hub, typeCall, special)
	if err != nil {
		return err
	}
	for _, r := range read.Methods {
		m.hub = append(m.hub, m.hubFunction(r))
	}
	return nil
}

func (m *model) hubFunction(read hubtype.Method) function {
	f := function{name: read.Name, doc: m.source.methodDoc(m.name, read.GoName), result: read.Type, streams: read.Result >= hubtype.Channel}
	names := m.source.parameters(m.name, read.GoName)
	if read.TakesCall && len(names) > 0 {
		names = names[1:]
	}
	for i, p := range read.Params {
		if p.Context { // clients send nothing for it
			continue
		}
		a := argument{name: "arg" + strconv.Itoa(i+1), t: p.Type}
		if i < len(names) && names[i] != "" && names[i] != "_" {
			a.name = names[i]
		}
		if p.Item != nil {
			a.t, a.stream = p.Item, true
		}
		f.args = append(f.args, a)
	}
	return f
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
