package server

import (
	"reflect"
	"strings"
	"sync/atomic"

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

	onAuthenticationRefreshed func(*Call) error
}

// A method is the plan of how one hub method is called.
type method struct {
	name      string // as registered; error texts use it
	call      reflect.Value
	fast      fastCall // not nil for common shapes
	pool      invocationPool
	takesCall bool
	params    []parameter // without *Call
	arguments int         // how many of params come from the message
	streams   int         // how many are streams that the client sends
	result    resultShape
	hasError  bool
	authorize func(*Call) error
	blocks    atomic.Bool // a stream of it has been detached once

	cancellable bool // it takes a context.Context
}

type parameter struct {
	t       reflect.Type // what the method declares
	item    reflect.Type // element type of a stream, else nil
	context bool         // the call's context, which is no argument
}

// argument reports whether the parameter comes from the client's message.
func (p parameter) argument() bool { return p.item == nil && !p.context }

type resultShape = hubtype.Result

const (
	noResult      = hubtype.NoResult
	valueResult   = hubtype.Value
	channelResult = hubtype.Channel
	seqResult     = hubtype.Seq
	seq2Result    = hubtype.Seq2
)

// streamsResult reports whether clients must call m with a StreamInvocation.
func (m *method) streamsResult() bool { return m.result >= channelResult }

// hasBlocked notes that the next call of a method that streams needs a goroutine
// of its own from the start.
func (m *method) hasBlocked() {
	if m.streamsResult() && !m.blocks.Load() {
		m.blocks.Store(true)
	}
}

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

// newMethodTable plans all exported methods of hub that are for clients.
func newMethodTable(hub any, special map[string]MethodOptions) (*methodTable, error) {
	v := reflect.ValueOf(hub)
	says := map[string]hubtype.Special{}
	for name, m := range special {
		says[name] = hubtype.Special{Name: m.Name, Hidden: m.Hidden, Authorize: m.Authorize != nil}
	}
	read, err := hubtype.Read(v, typeCall, says)
	if err != nil {
		return nil, err
	}
	table := &methodTable{hubName: read.Name, typeName: v.Type().String(), byName: map[string]*method{}, exact: map[string]*method{}}
	if read.OnConnected {
		table.onConnected = v.MethodByName("OnConnected").Interface().(func(*Call) error)
	}
	if read.OnDisconnected {
		table.onDisconnected = v.MethodByName("OnDisconnected").Interface().(func(*Call, error))
	}
	if read.OnAuthenticationRefreshed {
		table.onAuthenticationRefreshed = v.MethodByName("OnAuthenticationRefreshed").Interface().(func(*Call) error)
	}
	for _, r := range read.Methods {
		m := newMethod(v, r)
		m.authorize = special[r.GoName].Authorize
		table.byName[strings.ToLower(m.name)] = m
		table.exact[m.name] = m
	}
	return table, nil
}

func newMethod(hub reflect.Value, read hubtype.Method) *method {
	m := &method{
		name: read.Name, call: hub.MethodByName(read.GoName),
		takesCall: read.TakesCall, result: read.Result, hasError: read.HasError,
	}
	for _, p := range read.Params {
		m.params = append(m.params, parameter{t: p.Type, item: p.Item, context: p.Context})
		switch {
		case p.Item != nil:
			m.streams++
		case p.Context:
			m.cancellable = true
		default:
			m.arguments++
		}
	}
	if m.plain() {
		m.fast = newFastCall(hub, read.GoName)
	}
	return m
}
