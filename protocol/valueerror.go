package protocol

import (
	"errors"
	"reflect"
)

// A ValueError says where a value is that cannot be encoded or decoded. Where
// has names of Go types and members, which are for a log; a client gets only
// Err, which has none of them.
type ValueError struct {
	Where string // as "argument 2" or "member \"title\""
	Err   error  // what is wrong with it
}

func (e *ValueError) Error() string { return e.Where + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *ValueError) Unwrap() error { return e.Err }

// Cause returns err without the ValueErrors around it: the part of a Codec's
// error that a client may see.
func Cause(err error) error {
	for {
		value, ok := err.(*ValueError) //nolint:errorlint // an error that others have wrapped has their text
		if !ok {
			return err
		}
		err = value.Err
	}
}

// unsupported is the error for a type that has no encoding; what is "encoded",
// "decoded" or the like.
func unsupported(t reflect.Type, what string) error {
	return &ValueError{Where: "type " + t.String(), Err: errors.New("values of this type cannot be " + what)}
}
