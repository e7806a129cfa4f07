package server

import (
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// A methodTable is what clients can call on a hub, made once at registration.
type methodTable struct {
	hubName        string
	typeName       string
	create         func(*Call) (any, error) // makes the hub of a connection; nil: there is one for all
	byName         map[string]*method       // lower case
	exact          map[string]*method       // as registered, for clients that spell it so
	onConnected    func(*Call) error
	onDisconnected func(*Call, error)

	onAuthenticationRefreshed func(*Call) error
}

// A method is the plan of how one hub method is called.
type method struct {
	name      string // as registered; error texts use it
	call      methodCall
	pool      invocationPool
	takesCall bool
	params    []parameter // without *Call
	arguments int         // how many of params come from the message
	streams   int         // how many are streams that the client sends
	result    resultShape
	authorize func(*Call) error
	blocks    atomic.Bool   // its calls are often long
	debt      atomic.Int32  // of long calls; see took
	told      func(CallEnd) // for the observer; nil: nobody wants to know

	cancellable bool // it takes a context.Context
}

type parameter struct {
	t       reflect.Type // what the method declares
	item    reflect.Type // element type of a stream, else nil
	items   itemType     // how those are streamed
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

// A call holds up others that are there already if it takes longCall or more: those of
// clients that the same goroutine reads, and those of its own client where several may run
// at once. A goroutine costs as much as six short calls, so only a method whose calls were
// long of late is given one.
const (
	longCall  = 100 * time.Microsecond
	perLong   = 32          // short calls that make up for a long one
	manyLongs = 2 * perLong // of debt: its calls are often long

	// While there is no debt one call in so many is timed, as a look at the clock costs a
	// tenth of a short call. A prime number finds those of clients that take turns among methods.
	timedCalls = 7
)

// hasBlocked notes that a call was detached.
func (m *method) hasBlocked() {
	if m.plain() {
		m.wasLong()
		return
	}
	// A stream that is long once is so as a rule, and keeps its client from opening others
	// until it is detached.
	m.debt.Store(manyLongs + perLong)
	m.blocks.Store(true)
}

// took notes how long a call has taken.
func (m *method) took(d time.Duration) {
	if d >= longCall {
		m.wasLong()
		return
	}
	if m.isShort() { // as a rule: nothing is written that other processors read
		return
	}
	if m.debt.Add(-1) <= 0 {
		m.blocks.Store(false)
	}
}

func (m *method) wasLong() {
	if m.debt.Load() <= manyLongs && m.debt.Add(perLong) > manyLongs {
		m.blocks.Store(true)
	}
}

// isShort reports whether calls of m were short of late, or there were none.
func (m *method) isShort() bool { return m.debt.Load() <= 0 }

// plain reports whether m takes a permit: it streams in neither direction.
func (m *method) plain() bool { return !m.streamsResult() && m.streams == 0 }

// find looks a method up without regard to letter case.
func (t *methodTable) find(target string) *method {
	if m, ok := t.exact[target]; ok {
		return m
	}
	return t.byName[strings.ToLower(target)]
}

var typeCall = reflect.TypeFor[*Call]()

// newMethodTable plans all exported methods of a hub that are for clients.
func newMethodTable[H any](hub *instances[H], special map[string]MethodOptions) (*methodTable, error) {
	if err := hub.check(); err != nil {
		return nil, err
	}
	v := hub.prototype()
	says := map[string]hubtype.Special{}
	for name, m := range special {
		says[name] = hubtype.Special{Name: m.Name, Hidden: m.Hidden, Authorize: m.Authorize != nil}
	}
	read, err := hubtype.Read(v, typeCall, says)
	if err != nil {
		return nil, err
	}
	table := &methodTable{hubName: read.Name, typeName: v.Type().String(), create: hub.creator(), byName: map[string]*method{}, exact: map[string]*method{}}
	table.setHooks(read, func(c *Call) any { return hub.of(c) })
	for _, r := range read.Methods {
		m := newMethod(hub, v.Type(), r)
		m.authorize = special[r.GoName].Authorize
		table.byName[strings.ToLower(m.name)] = m
		table.exact[m.name] = m
	}
	return table, nil
}

// setHooks sets the hub's own methods that it has; of returns the hub.
func (t *methodTable) setHooks(read hubtype.Hub, of func(*Call) any) {
	if read.OnConnected {
		t.onConnected = func(c *Call) error {
			return of(c).(interface{ OnConnected(*Call) error }).OnConnected(c)
		}
	}
	if read.OnDisconnected {
		t.onDisconnected = func(c *Call, cause error) {
			of(c).(interface{ OnDisconnected(*Call, error) }).OnDisconnected(c, cause)
		}
	}
	if read.OnAuthenticationRefreshed {
		t.onAuthenticationRefreshed = func(c *Call) error {
			return of(c).(interface{ OnAuthenticationRefreshed(*Call) error }).OnAuthenticationRefreshed(c)
		}
	}
}

// newMethod plans a method of a hub of type t, which is H unless that is an
// interface.
func newMethod[H any](hub *instances[H], t reflect.Type, read hubtype.Method) *method {
	m := &method{name: read.Name, takesCall: read.TakesCall, result: read.Result}
	for _, p := range read.Params {
		m.params = append(m.params, parameter{t: p.Type, item: p.Item, context: p.Context})
		switch {
		case p.Item != nil:
			m.params[len(m.params)-1].items = itemTypeOf(p.Item)
			m.streams++
		case p.Context:
			m.cancellable = true
		default:
			m.arguments++
		}
	}
	expression, _ := t.MethodByName(read.GoName)
	if m.call = directCall(hub, expression.Func.Interface()); m.call != nil {
		return m
	}
	value := func(c *Call) reflect.Value { return reflect.ValueOf(hub.of(c)) }
	if hub.create == nil {
		one := reflect.ValueOf(hub.one)
		value = func(*Call) reflect.Value { return one }
	}
	by := &reflectCall{
		function: expression.Func, hub: value,
		takesCall: read.TakesCall, params: m.params, result: read.Result, hasError: read.HasError,
	}
	m.call = by.call
	return m
}
