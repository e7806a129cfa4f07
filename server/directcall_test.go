package server

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// shapeHub has a method for every shape that is called directly.
type shapeHub struct {
	name  string
	calls int
}

func (h *shapeHub) C(c *Call) error                         { return h.say(c) }
func (h *shapeHub) CS(c *Call, a string) error              { return h.say(c, a) }
func (h *shapeHub) CSS(c *Call, a, b string) error          { return h.say(c, a, b) }
func (h *shapeHub) CSSS(c *Call, a, b, d string) error      { return h.say(c, a, b, d) }
func (h *shapeHub) CI(c *Call, a int) error                 { return h.say(c, a) }
func (h *shapeHub) CII(c *Call, a, b int) error             { return h.say(c, a, b) }
func (h *shapeHub) S2S(a string) string                     { return h.name + a }
func (h *shapeHub) S2SE(a string) (string, error)           { return h.name + a, h.say(nil, a) }
func (h *shapeHub) CS2S(c *Call, a string) string           { return h.name + c.inv.id + a }
func (h *shapeHub) CS2SE(c *Call, a string) (string, error) { return h.name + c.inv.id + a, nil }
func (h *shapeHub) P2P(a *string) *string                   { return a }
func (h *shapeHub) I2I(a int) int                           { return len(h.name) + a }
func (h *shapeHub) CI2IE(c *Call, a int) (int, error)       { return len(h.name+c.inv.id) + a, nil }
func (h *shapeHub) S2I(a string) int                        { return len(h.name + a) }
func (h *shapeHub) I2S(a int) string                        { return fmt.Sprint(h.name, a) }
func (h *shapeHub) SS2S(a, b string) string                 { return h.name + a + b }
func (h *shapeHub) CSS2SE(c *Call, a, b string) (string, error) {
	return h.name + c.inv.id + a + b, nil
}
func (h *shapeHub) II2I(a, b int) int                     { return len(h.name) + a*b }
func (h *shapeHub) CII2IE(c *Call, a, b int) (int, error) { return len(h.name+c.inv.id) + a - b, nil }

func (h *shapeHub) Nothing()                            { h.calls++ }
func (h *shapeHub) E() error                            { return h.say(nil) }
func (h *shapeHub) JustC(c *Call)                       { h.calls++ }
func (h *shapeHub) S(a string)                          { h.calls++ }
func (h *shapeHub) SE(a string) error                   { return h.say(nil, a) }
func (h *shapeHub) CSNothing(c *Call, a string)         { h.calls++ }
func (h *shapeHub) SI(a string, b int)                  { h.calls += b }
func (h *shapeHub) IS(a int, b string) error            { return h.say(nil, a, b) }
func (h *shapeHub) CSINothing(c *Call, a string, b int) { h.calls += b }
func (h *shapeHub) SSS(a, b, d string) error            { return h.say(nil, a, b, d) }
func (h *shapeHub) G() string                           { return h.name }
func (h *shapeHub) GE() (int, error)                    { return len(h.name), nil }
func (h *shapeHub) CG(c *Call) string                   { return h.name + c.inv.id }
func (h *shapeHub) CGE(c *Call) (int, error)            { return len(h.name + c.inv.id), nil }
func (h *shapeHub) SI2IE(a string, b int) (int, error)  { return len(h.name+a) + b, nil }
func (h *shapeHub) CSI2I(c *Call, a string, b int) int  { return len(h.name+c.inv.id+a) + b }

func (h *shapeHub) say(c *Call, args ...any) error {
	if c != nil {
		return errors.New(h.name + c.inv.id + fmt.Sprint(args...))
	}
	return errors.New(h.name + fmt.Sprint(args...))
}

// valueHub has its methods by value, and one from what it embeds.
type valueHub struct {
	name string
	*embeddedHub
}

func (h valueHub) S2S(a string) string { return h.name + a }

type embeddedHub struct{ n int }

func (e *embeddedHub) I2I(a int) int { return e.n + a }

// plainMethod reads a method without streams. hubtype would not: what is embedded
// here is of package server itself, and so no method of the hub.
func plainMethod(name string, t reflect.Type) hubtype.Method {
	m := hubtype.Method{GoName: name, Name: name}
	for i := range t.NumIn() {
		if in := t.In(i); in == typeCall {
			m.TakesCall = true
		} else {
			m.Params = append(m.Params, hubtype.Param{Type: in})
		}
	}
	for i := range t.NumOut() {
		if out := t.Out(i); out == reflect.TypeFor[error]() {
			m.HasError = true
		} else {
			m.Result, m.Type = hubtype.Value, out
		}
	}
	return m
}

// testDirectCalls compares each method of hub, called directly, on the hub of all
// connections and on that of one, with what reflection gives.
func testDirectCalls[H any](t *testing.T, hub H) {
	conn := &connection{}
	own := any(hub)
	conn.instance.Store(&own)
	one := &instances[H]{one: hub}
	each := &instances[H]{create: func(*Call) (H, error) { return hub, nil }}
	v := reflect.ValueOf(hub)
	for i := range v.NumMethod() {
		expression := v.Type().Method(i)
		read := plainMethod(expression.Name, v.Method(i).Type())
		if directCall(one, expression.Func.Interface()) == nil {
			t.Errorf("%T.%s has no direct call", hub, expression.Name)
		}
		reflected := newMethod(&instances[any]{one: hub}, v.Type(), read)
		call := &Call{inv: &invocation{id: "id ", conn: conn, method: reflected}}
		call.inv.args = someArguments(reflected)
		want, wantErr := reflected.call(call, call.inv.args)
		for name, m := range map[string]*method{"the hub of all": newMethod(one, v.Type(), read), "a connection's": newMethod(each, v.Type(), read)} {
			got, gotErr := m.call(call, call.inv.args)
			if wantErr != nil && gotErr != nil {
				got = want
			}
			if !reflect.DeepEqual(got, want) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Errorf("%T.%s on %s: direct %v, %v; reflection %v, %v", hub, expression.Name, name, got, gotErr, want, wantErr)
			}
		}
	}
}

func someArguments(m *method) (args []any) {
	for i, p := range m.params {
		arg := reflect.New(p.t)
		switch p.t.Kind() {
		case reflect.String:
			arg.Elem().SetString(fmt.Sprint("argument ", i))
		case reflect.Int:
			arg.Elem().SetInt(int64(40 + i))
		default:
			text := "pointed to"
			arg.Elem().Set(reflect.ValueOf(&text))
		}
		args = append(args, arg.Interface())
	}
	return args
}

func TestDirectCallsGiveWhatReflectionGives(t *testing.T) {
	testDirectCalls(t, &shapeHub{name: "pointer "})
	testDirectCalls(t, valueHub{name: "value ", embeddedHub: &embeddedHub{n: 7}})
	testDirectCalls(t, &valueHub{name: "pointer to value ", embeddedHub: &embeddedHub{n: 8}})
}

// otherHub has methods of no common shape.
type otherHub struct{ name string }

func (h *otherHub) Floats(a float64, b []int) (map[string]float64, error) {
	return map[string]float64{h.name: a + float64(len(b))}, nil
}

func TestCallsByReflectionUseTheirMemoryAgainAndKeepNoArguments(t *testing.T) {
	hub := &otherHub{name: "x"}
	m, _ := reflect.TypeOf(hub).MethodByName("Floats")
	read := plainMethod(m.Name, reflect.ValueOf(hub).Method(0).Type())
	r := &reflectCall{
		function: m.Func, hub: func(*Call) reflect.Value { return reflect.ValueOf(hub) },
		params: []parameter{{t: read.Params[0].Type}, {t: read.Params[1].Type}}, result: read.Result, hasError: true,
	}
	a, numbers := 1.5, make([]int, 1000)
	for list := (*[]reflect.Value)(nil); list == nil; { // a pool may lose what it is given
		got, err := r.call(nil, []any{&a, &numbers})
		if want := map[string]float64{"x": 1001.5}; err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("Floats = %v, %v, want %v", got, err, want)
		}
		if list, _ = r.lists.Get().(*[]reflect.Value); list == nil {
			continue
		}
		for i, v := range (*list)[:cap(*list)] {
			if v.IsValid() {
				t.Errorf("argument %d is kept: %v", i, v)
			}
		}
	}
}
