package protocol_test

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hubwire/hubwire/internal/testvectors"
	"github.com/hubwire/hubwire/protocol"
)

// allocatedBy measures what f allocates, in bytes.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// fuzzNext checks what holds for whatever a peer sends: no panic, an error is
// an *Error or ErrIncomplete, the rest is passed on, and what decodes, encodes,
// and decodes to the same.
func fuzzNext(f *testing.F, codec protocol.Codec) {
	for _, v := range testvectors.Load(f, vectorFolder) {
		if v.Codec == codec.Name() {
			f.Add([]byte(v.Wire))
		}
	}
	f.Add([]byte(`{"type":1,"target":"M","arguments":["` + "\x90" + `"]}` + "\x1e"))
	f.Add([]byte(`{"type":1,"target":"M","arguments":[[1,` + "\r" + `2]]}` + "\x1e"))
	f.Fuzz(func(t *testing.T, buf []byte) {
		msg, rest, err := codec.Next(buf)
		var e *protocol.Error
		switch {
		case errors.Is(err, protocol.ErrIncomplete):
			if msg != nil || !bytes.Equal(rest, buf) {
				t.Fatalf("incomplete, but message %v and rest %q", msg, rest)
			}
			return
		case err != nil:
			if !errors.As(err, &e) || e.Type == "" || e.Text == "" || msg != nil {
				t.Fatalf("error %#v with message %v", err, msg)
			}
			return
		case msg == nil || !bytes.HasSuffix(buf, rest) || len(rest) >= len(buf):
			t.Fatalf("message %v, rest %q of %q", msg, rest, buf)
		}
		checkAgain(t, codec, msg, buf[:len(buf)-len(rest)])
	})
}

// checkAgain encodes msg, which is what said says, and decodes the result.
func checkAgain(t *testing.T, codec protocol.Codec, msg protocol.Message, said []byte) {
	wire, err := codec.Append(nil, msg)
	if err != nil {
		// Text that is not UTF-8 is found where a value is decoded, or passed on.
		badText := !codec.Binary() && !utf8.Valid(said) && strings.Contains(err.Error(), "invalid UTF-8")
		if mayFail(msg) || badText {
			return
		}
		t.Fatalf("Append(%#v): %v", msg, err)
	}
	again, rest, err := codec.Next(wire)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%q, the encoding of %#v, cannot be decoded: %v, rest %q", wire, msg, err, rest)
	}
	if c, ok := msg.(*protocol.Completion); ok && c.Kind == protocol.ResultError && c.Error == "" && codec.Name() == "json" {
		return // ASP.NET Core writes an empty error as no result
	}
	if !codec.Binary() && bytes.IndexByte(said, '\r') >= 0 {
		// One in a value that is passed on as it is becomes a blank.
		if twice, err := codec.Append(nil, again); err != nil || !bytes.Equal(twice, wire) {
			t.Fatalf("%#v is encoded as %q, and then as %q, error %v", msg, wire, twice, err)
		}
		return
	}
	if !reflect.DeepEqual(again, msg) {
		t.Fatalf("%#v is encoded as %q, which is %#v", msg, wire, again)
	}
}

// mayFail reports the messages that are delivered though a value of theirs
// cannot be read: the call or stream fails, not the connection.
func mayFail(msg protocol.Message) bool {
	valid := func(raw protocol.Raw) bool {
		return protocol.MessagePack{}.Unmarshal(raw, new(protocol.Raw)) == nil
	}
	switch m := msg.(type) {
	case *protocol.Invocation:
		return m.ArgumentsErr != nil
	case *protocol.StreamInvocation:
		return m.ArgumentsErr != nil
	case *protocol.StreamItem:
		return !valid(m.RawItem)
	case *protocol.Completion:
		return m.Kind == protocol.ResultValue && !valid(m.RawResult)
	}
	return false
}

func FuzzJSONNext(f *testing.F) { fuzzNext(f, protocol.JSON{}) }

func FuzzMessagePackNext(f *testing.F) { fuzzNext(f, protocol.MessagePack{}) }

func FuzzHandshake(f *testing.F) {
	for _, v := range testvectors.Load(f, vectorFolder) {
		if v.Codec != "messagepack" {
			f.Add([]byte(v.Wire))
		}
	}
	f.Fuzz(func(t *testing.T, buf []byte) {
		req, rest, err := protocol.ParseHandshakeRequest(buf)
		var e *protocol.Error
		if err == nil {
			again, left, err := protocol.ParseHandshakeRequest(protocol.AppendHandshakeRequest(nil, req))
			if err != nil || again != req || len(left) > 0 || !bytes.HasSuffix(buf, rest) {
				t.Fatalf("%+v came back as %+v, error %v, rest %q", req, again, err, left)
			}
		} else if !errors.Is(err, protocol.ErrIncomplete) && !errors.As(err, &e) {
			t.Fatalf("error %#v", err)
		}
		text, _, err := protocol.ParseHandshakeResponse(buf)
		if err == nil {
			again, _, err := protocol.ParseHandshakeResponse(protocol.AppendHandshakeResponse(nil, text))
			if err != nil || again != text {
				t.Fatalf("response %q came back as %q, error %v", text, again, err)
			}
		}
	})
}

// fuzzValue checks what holds for any value: it decodes into every target or
// not at all, and then encodes to what decodes to the same.
func fuzzValue(f *testing.F, codec protocol.Codec) {
	for _, v := range testvectors.Load(f, vectorFolder) {
		if v.Codec != codec.Name() || v.Direction == testvectors.Error {
			continue
		}
		m, _, err := codec.Next([]byte(v.Wire))
		if err != nil {
			f.Fatal(err)
		}
		switch m := m.(type) {
		case *protocol.Invocation:
			for _, raw := range m.RawArguments {
				f.Add([]byte(raw))
			}
		case *protocol.Completion:
			f.Add([]byte(m.RawResult))
		}
	}
	targets := []any{
		new(string), new(bool), new(int), new(int8), new(uint16), new(float32), new(float64), new([]byte), new(any), new([]string), new(map[string]any), new(map[int]any),
		new(Sample), new(*Rare), new(outer), new(packed), new(protocol.DateTime), new(protocol.DateTimeOffset), new(protocol.TimeSpan), new(protocol.TimeOnly), new(protocol.DateOnly), new(protocol.Decimal), new(protocol.Guid), new(protocol.Char), new(Color),
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, kind := range targets {
			value := reflect.New(reflect.TypeOf(kind).Elem())
			if codec.Unmarshal(raw, value.Interface()) != nil {
				continue
			}
			wire, err := codec.AppendValue(nil, value.Elem().Interface())
			if err != nil && !codec.Binary() && hasInfinity(value.Elem()) {
				continue // as in .NET
			}
			if err != nil {
				t.Fatalf("%q decodes into %#v, which does not encode: %v", raw, value.Elem(), err)
			}
			again := reflect.New(reflect.TypeOf(kind).Elem())
			if err := codec.Unmarshal(wire, again.Interface()); err != nil {
				t.Fatalf("%q decodes into %#v, whose encoding %q does not decode: %v", raw, value.Elem(), wire, err)
			}
			if twice, err := codec.AppendValue(nil, again.Elem().Interface()); err != nil || !bytes.Equal(twice, wire) {
				t.Fatalf("%q, decoded and encoded, is %q, and then %q, error %v", raw, wire, twice, err)
			}
		}
	})
}

func FuzzJSONValue(f *testing.F) { fuzzValue(f, protocol.JSON{}) }

func FuzzMessagePackValue(f *testing.F) { fuzzValue(f, protocol.MessagePack{}) }
