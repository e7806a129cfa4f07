package server

import (
	"fmt"
	"reflect"

	"github.com/hubwire/hubwire/protocol"
)

// Texts of arguments that do not fit.
// Source: docs/reference/hub-protocol.md, sections 2.3 and 3.3.
var errBinding = &protocol.Error{Type: "InvalidDataException", Text: "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked."}

// An unfitError is an argument that cannot be decoded into its parameter. Clients
// are told errBinding, the log which argument it was.
type unfitError struct {
	index int // of the parameter
	t     reflect.Type
	raw   protocol.Raw // valid until the message is no more
	error
}

// Unwrap returns errBinding.
func (e *unfitError) Unwrap() error { return e.error }

func errArgumentCount(got, want int) error {
	return &protocol.Error{Type: "InvalidDataException", Text: fmt.Sprintf("Invocation provides %d argument(s) but target expects %d.", got, want)}
}

// bind decodes the arguments of an invocation into pointers to the method's
// parameter types, in the order of its parameters; streams are left nil. JSON
// finds a wrong type before a wrong count, MessagePack the other way round, as
// in ASP.NET Core. room may be nil.
func (m *method) bind(codec protocol.Codec, inv *protocol.Invocation, room *callRoom) ([]any, error) {
	if inv.ArgumentsErr != nil {
		return nil, inv.ArgumentsErr
	}
	raw := inv.RawArguments
	if codec.Binary() && len(raw) != m.arguments {
		return nil, errArgumentCount(len(raw), m.arguments)
	}
	if len(m.params) == 0 {
		if len(raw) != 0 {
			return nil, errArgumentCount(len(raw), 0)
		}
		return nil, nil
	}
	args := room.list(len(m.params))
	n := 0
	for i, p := range m.params {
		if !p.argument() {
			continue
		}
		if n == len(raw) {
			return nil, errArgumentCount(len(raw), m.arguments)
		}
		v := room.value(p.t, i)
		if err := unmarshal(codec, raw[n], v); err != nil {
			return nil, &unfitError{i, p.t, raw[n], errBinding}
		}
		args[i] = v
		n++
	}
	if n != len(raw) {
		return nil, errArgumentCount(len(raw), m.arguments)
	}
	return args, nil
}
