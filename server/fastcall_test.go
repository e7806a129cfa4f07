package server

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/hubwire/hubwire/server/internal/hubtype"
)

// shapeHub has a method for every shape that is called directly.
type shapeHub struct{ name string }

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

func TestDirectCallsGiveWhatReflectionGives(t *testing.T) {
	hubs := []any{&shapeHub{name: "pointer "}, valueHub{name: "value ", embeddedHub: &embeddedHub{n: 7}}, &valueHub{name: "pointer to value ", embeddedHub: &embeddedHub{n: 8}}}
	called := map[reflect.Type]bool{}
	for _, hub := range hubs {
		v := reflect.ValueOf(hub)
		for i := range v.NumMethod() {
			name := v.Type().Method(i).Name
			m := newMethod(v, plainMethod(name, v.Method(i).Type()))
			if m.fast == nil {
				t.Errorf("%T.%s has no direct call", hub, name)
				continue
			}
			called[v.Method(i).Type()] = true
			call := &Call{inv: &invocation{id: "id ", method: m}}
			for j, p := range m.params {
				arg := reflect.New(p.t)
				switch p.t.Kind() {
				case reflect.String:
					arg.Elem().SetString(fmt.Sprint("argument ", j))
				case reflect.Int:
					arg.Elem().SetInt(int64(40 + j))
				default:
					text := "pointed to"
					arg.Elem().Set(reflect.ValueOf(&text))
				}
				call.inv.args = append(call.inv.args, arg.Interface())
			}
			got, gotErr := m.fast(call, call.inv.args)
			want, wantErr := m.callReflect(call)
			if wantErr != nil {
				want = nil
				if gotErr != nil {
					got = nil
				}
			}
			if !reflect.DeepEqual(got, want) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Errorf("%T.%s: direct %v, %v; reflection %v, %v", hub, name, got, gotErr, want, wantErr)
			}
		}
	}
	if len(called) < len(shapes)/2 {
		t.Errorf("%d of %d shapes were called", len(called), len(shapes))
	}
}
