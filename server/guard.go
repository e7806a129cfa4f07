package server

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/hubwire/hubwire/protocol"
)

// User code is called through one of the functions of this file wherever the
// package calls it: hub methods and hooks through guard, the methods of values
// that encode or decode themselves through encode and unmarshal, those of
// errors through describe, isError and asError, a codec of the user's own
// through ownCodec, a LifetimeManager through hubManager, a slog.Handler
// through rescue.Logger.

// guard runs user code and turns a panic into an error. It does not stop
// runtime.Goexit, which its callers survive by what they defer: see leader.end.
func guard(f func() error) (err error) {
	defer catch(&err)
	return f()
}

// catch, when deferred, turns a panic into an error.
func catch(err *error) {
	if v := recover(); v != nil {
		*err = &panicError{value: v, stack: debug.Stack()}
	}
}

// A panicError is a panic of user code, caught.
type panicError struct {
	value any
	stack []byte
}

// Error returns the panic's value as text; fmt survives values that panic again.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// PanicValue is what an Observer knows the error of a panic by.
func (e *panicError) PanicValue() any { return e.value }

// unmarshal decodes raw into what v points to, by methods of v where it has some; see
// leader.unmarshal.
func unmarshal(codec protocol.Codec, raw protocol.Raw, v any) (err error) {
	defer catch(&err)
	return codec.Unmarshal(raw, v)
}

// A description is what clients and the log see of an error.
type description struct {
	kind string // the error's type as clients see it
	text string // valid UTF-8
	hub  bool   // it is a *HubError: every client may see the text
}

// describe calls the methods of err, which may be the user's. Where one of them
// panics there is no text.
func describe(err error) (d description) {
	defer func() {
		if recover() != nil {
			d = description{kind: "Exception", text: "The error cannot be shown: one of its methods panics."}
		}
	}()
	var hub *HubError
	if errors.As(err, &hub) {
		return description{kind: hub.ErrorType(), text: strings.ToValidUTF8(hub.Message, "\uFFFD"), hub: true}
	}
	return description{kind: strings.ToValidUTF8(errorType(err), "\uFFFD"), text: strings.ToValidUTF8(protocol.Cause(err).Error(), "\uFFFD")}
}

// isError is errors.Is for an error whose methods may panic.
func isError(err, target error) (yes bool) {
	defer func() { _ = recover() }()
	return errors.Is(err, target)
}

// asError is errors.As for an error whose methods may panic.
func asError[E error](err error) (e E, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	ok = errors.As(err, &e)
	return e, ok
}

// An ownCodec is a hub protocol of the user's own. Its name and kind are asked
// once; a panic in one of its other methods is an error.
type ownCodec struct {
	protocol.Codec
	name   string
	binary bool
}

// guarded returns codec, wrapped in an ownCodec where it is the user's.
func guarded(codec protocol.Codec) (protocol.Codec, error) {
	switch codec := codec.(type) {
	case nil:
		return nil, errors.New("is nil")
	case protocol.JSON:
		if codec.Values == nil {
			return codec, nil
		}
	case protocol.MessagePack:
		return codec, nil
	}
	own := ownCodec{Codec: codec}
	err := guard(func() error {
		own.name, own.binary = codec.Name(), codec.Binary()
		return nil
	})
	return own, err
}

func (c ownCodec) Name() string { return c.name }
func (c ownCodec) Binary() bool { return c.binary }

func (c ownCodec) Append(dst []byte, m protocol.Message) (b []byte, err error) {
	defer catch(&err)
	return c.Codec.Append(dst, m)
}

func (c ownCodec) Next(buf []byte) (m protocol.Message, rest []byte, err error) {
	defer catch(&err)
	return c.Codec.Next(buf)
}

// decoding is the codec that reads messages: that of package protocol itself,
// which is faster, where no user code takes part.
func decoding(codec protocol.Codec) protocol.Codec {
	if own, ok := codec.(ownCodec); ok {
		if ours, ok := own.Codec.(protocol.JSON); ok {
			return ours
		}
	}
	return codec
}

// Missing implements protocol.Framer. 0 is right for every codec, if slow.
func (c ownCodec) Missing(buf []byte, seen int) (n int) {
	defer func() {
		if recover() != nil {
			n = 0 // Next says what is wrong
		}
	}()
	n, _ = protocol.Missing(c.Codec, buf, seen)
	return n
}

func (c ownCodec) Unmarshal(raw protocol.Raw, v any) (err error) {
	defer catch(&err)
	return c.Codec.Unmarshal(raw, v)
}

func (c ownCodec) AppendValue(dst []byte, v any) (b []byte, err error) {
	defer catch(&err)
	return c.Codec.AppendValue(dst, v)
}
