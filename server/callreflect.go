package server

import (
	"reflect"
	"sync"
)

// A reflectCall calls a method of any shape by reflection. The list of its
// arguments is memory that calls use again.
type reflectCall struct {
	function  reflect.Value // of the method expression: the hub is its first argument
	hub       func(*Call) reflect.Value
	takesCall bool
	params    []parameter
	result    resultShape
	hasError  bool
	lists     sync.Pool // of *[]reflect.Value
}

// call calls the method. The arguments are pointers to the parameters' types, or
// the streams that the client sends.
func (r *reflectCall) call(c *Call, args []any) (any, error) {
	list, _ := r.lists.Get().(*[]reflect.Value)
	if list == nil {
		list = new([]reflect.Value)
	}
	in := append((*list)[:0], r.hub(c))
	if r.takesCall {
		in = append(in, reflect.ValueOf(c))
	}
	for i, p := range r.params {
		switch {
		case p.item != nil:
			u := args[i].(*upload)
			in = append(in, u.items.argument(p.t, u.failure))
		case p.context:
			in = append(in, reflect.ValueOf(c.Context()))
		default:
			in = append(in, reflect.ValueOf(args[i]).Elem())
		}
	}
	out := r.function.Call(in)
	clear(in) // the next call must not keep these arguments
	*list = in
	r.lists.Put(list)
	var err error
	if r.hasError {
		err, _ = out[len(out)-1].Interface().(error)
	}
	if r.result == noResult || err != nil {
		return nil, err
	}
	return out[0].Interface(), nil
}
