package server

import (
	"fmt"
	"reflect"

	"github.com/hubwire/hubwire/protocol"
)

// Texts of arguments that do not fit.
// Source: docs/reference/hub-protocol.md, sections 2.3 and 3.3.
var errBinding = &protocol.Error{Type: "InvalidDataException", Text: "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked."}

// An unfitError is an argument that cannot be decoded into its parameter.
// Clients see errBinding, and the log says which argument it was.
type unfitError struct {
	index int // of the parameter
	t     reflect.Type
	raw   protocol.Raw // valid as long as the message
	error
}

// Unwrap returns errBinding.
func (e *unfitError) Unwrap() error { return e.error }

func errArgumentCount(got, want int) error {
	return &protocol.Error{Type: "InvalidDataException", Text: fmt.Sprintf("Invocation provides %d argument(s) but target expects %d.", got, want)}
}

// bind decodes the arguments of m into the variables of its parameters. JSON
// finds a wrong type before a wrong count, MessagePack the other way round, as in
// ASP.NET Core.
func (inv *invocation) bind(l *leader, m *protocol.Invocation) error {
	method, codec, raw := inv.method, inv.conn.codec, m.RawArguments
	switch {
	case m.ArgumentsErr != nil:
		return m.ArgumentsErr
	case codec.Binary() && len(raw) != method.arguments:
		return errArgumentCount(len(raw), method.arguments)
	}
	n := 0
	for i, p := range method.params {
		if !p.argument() {
			continue
		}
		if n == len(raw) {
			return errArgumentCount(len(raw), method.arguments)
		}
		if err := l.unmarshal(raw[n], inv.args[i]); err != nil {
			return &unfitError{i, p.t, raw[n], errBinding}
		}
		n++
	}
	if n != len(raw) {
		return errArgumentCount(len(raw), method.arguments)
	}
	return nil
}
