package wire

import (
	"errors"
	"fmt"

	"github.com/hubwire/hubwire/internal/msgp"
)

// Errors of reading; the texts are those that ASP.NET Core logs.
var (
	errEnd      = errors.New("Attempted to read past the end of the stream.")
	errOverflow = errors.New("Arithmetic operation resulted in an overflow.")
)

// A reader reads the values that payloads have. The first error stays, and what
// is read after it is zero.
type reader struct {
	msgp.Reader
	err error
}

func newReader(p []byte) *reader { return &reader{Reader: msgp.NewReader(p)} }

// failed sets the error for a value of a kind that could not be read: another
// one came, or the bytes have ended.
func (r *reader) failed(kinds ...msgp.Kind) {
	if r.err != nil {
		return
	}
	r.err = errEnd
	if code := r.Code(); r.Left() > 0 {
		for _, kind := range kinds {
			if msgp.KindOf(code) == kind {
				return
			}
		}
		r.err = fmt.Errorf("unexpected MessagePack code 0x%02x", code)
	}
}

func (r *reader) array() int {
	if r.err == nil {
		if n, ok := r.Array(); ok {
			return n
		}
	}
	r.failed(msgp.KindArray)
	return 0
}

func (r *reader) mapping() int {
	if r.err == nil {
		if n, ok := r.Map(); ok {
			return n
		}
	}
	r.failed(msgp.KindMap)
	return 0
}

// text reads a string; nil is the empty one.
func (r *reader) text() string {
	if r.err != nil || r.Nil() {
		return ""
	}
	s, ok := r.Str()
	if !ok {
		r.failed(msgp.KindStr)
	}
	return string(s)
}

// bytes reads a bin or, like ASP.NET Core, any string but str 8. It aliases the
// payload.
func (r *reader) bytes() []byte {
	if r.err != nil || r.Nil() {
		return nil
	}
	if r.Code() == msgp.Str8 {
		r.failed(msgp.KindBin)
		return nil
	}
	b, ok := r.Bin()
	if !ok {
		b, ok = r.Str()
	}
	if !ok {
		r.failed(msgp.KindBin, msgp.KindStr)
	}
	return b
}

// integer reads an integer of any width within the bounds.
func (r *reader) integer(least, most int64) int64 {
	if r.err != nil {
		return 0
	}
	u, negative, ok := r.Integer()
	if !ok {
		r.failed(msgp.KindInteger)
		return 0
	}
	n := int64(u)
	if negative != (n < 0) || n < least || n > most {
		r.err = errOverflow
	}
	return n
}
