package server

import "reflect"

// callReflect calls a method of any shape. The arguments are pointers to the
// parameters' types, or the streams that the client sends.
func (m *method) callReflect(call *Call) (any, error) {
	in := call.inv.cells // where the arguments are all that the method takes
	if in != nil {
		return m.results(m.call.Call(in))
	}
	in = make([]reflect.Value, 0, 1+len(m.params))
	if m.takesCall {
		in = append(in, reflect.ValueOf(call))
	}
	for i, p := range m.params {
		if p.item != nil {
			in = append(in, call.inv.args[i].(*upload).argument(p.t))
			continue
		}
		if p.context {
			in = append(in, reflect.ValueOf(call.Context()))
			continue
		}
		in = append(in, reflect.ValueOf(call.inv.args[i]).Elem())
	}
	return m.results(m.call.Call(in))
}

// results are what a call by reflection has returned.
func (m *method) results(out []reflect.Value) (any, error) {
	var err error
	if m.hasError {
		err, _ = out[len(out)-1].Interface().(error)
	}
	if m.result == noResult || err != nil {
		return nil, err
	}
	return out[0].Interface(), nil
}
