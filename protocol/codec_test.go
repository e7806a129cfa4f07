package protocol_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/internal/testvectors"
	"github.com/hubwire/hubwire/protocol"
)

const vectorFolder = "../testdata/hubprotocol"

var codecs = map[string]protocol.Codec{"json": protocol.JSON{}, "messagepack": protocol.MessagePack{}}

// codecVectors are the vectors of hub messages with one of the directions.
func codecVectors(tb testing.TB, directions ...string) []testvectors.Vector {
	var list []testvectors.Vector
	for _, v := range testvectors.Load(tb, vectorFolder) {
		for _, d := range directions {
			if v.Direction == d && codecs[v.Codec] != nil {
				list = append(list, v)
			}
		}
	}
	return list
}

func TestVectorsDecodeAndEncodeToTheSameBytes(t *testing.T) {
	for _, v := range codecVectors(t, testvectors.Both, testvectors.Decode) {
		codec, wire := codecs[v.Codec], []byte(v.Wire)
		msg, rest, err := codec.Next(wire)
		if err != nil || len(rest) != 0 {
			t.Errorf("%s: Next(%q) = %v, rest %q, error %v", v.Name, wire, msg, rest, err)
			continue
		}
		got, err := codec.Append([]byte("before"), msg)
		if call, ok := msg.(*protocol.Invocation); ok && call.ArgumentsErr != nil {
			if err == nil {
				t.Errorf("%s: Append(%#v) = %q, though its arguments are unknown", v.Name, msg, got)
			}
			continue
		}
		if err != nil || !bytes.HasPrefix(got, []byte("before")) {
			t.Errorf("%s: Append(%#v) = %q, error %v", v.Name, msg, got, err)
			continue
		}
		if got = got[len("before"):]; v.Direction == testvectors.Both && string(got) != v.Wire {
			t.Errorf("%s: Append(%#v)\n got: %q\nwant: %q (from %s)", v.Name, msg, got, v.Wire, v.Source)
		}
		again, _, err := codec.Next(got)
		if err != nil || !reflect.DeepEqual(again, msg) {
			t.Errorf("%s: %q decodes to %#v, its own encoding %q to %#v, error %v", v.Name, wire, msg, got, again, err)
		}
	}
}

func TestVectorsCutAnywhereAreIncomplete(t *testing.T) {
	for _, v := range codecVectors(t, testvectors.Both, testvectors.Decode) {
		codec := codecs[v.Codec]
		for i := range len(v.Wire) {
			cut := []byte(v.Wire[:i])
			msg, rest, err := codec.Next(cut)
			if !errors.Is(err, protocol.ErrIncomplete) || msg != nil || !bytes.Equal(rest, cut) {
				t.Fatalf("%s: Next(%q) = %v, rest %q, error %v, want ErrIncomplete", v.Name, cut, msg, rest, err)
			}
		}
	}
}

func TestBytesBehindAMessageAreHandedOn(t *testing.T) {
	for _, v := range codecVectors(t, testvectors.Both, testvectors.Decode) {
		for _, after := range []string{"\x1e", "{", "\xff\xff", v.Wire} {
			_, rest, err := codecs[v.Codec].Next([]byte(v.Wire + after))
			if err != nil || string(rest) != after {
				t.Errorf("%s: Next with %q after it: rest %q, error %v", v.Name, after, rest, err)
			}
		}
	}
}

func TestRefusedVectorsAreErrorsWithTheWordsOfASPNET(t *testing.T) {
	for _, v := range codecVectors(t, testvectors.Error) {
		msg, _, err := codecs[v.Codec].Next([]byte(v.Wire))
		var e *protocol.Error
		if !errors.As(err, &e) || e.ErrorType() != v.ErrorType || e.Error() != v.ErrorText {
			t.Errorf("%s: Next(%q) = %v\n got: %#v\nwant: %s: %s (from %s)", v.Name, v.Wire, msg, err, v.ErrorType, v.ErrorText, v.Source)
		}
	}
}

func TestARawIsOnlyAPartOfTheBuffer(t *testing.T) {
	for name, wire := range map[string]string{
		"json":        `{"type":1,"target":"T","arguments":["ab",1]}` + "\x1e",
		"messagepack": "\x0c\x96\x01\x80\xc0\xa1T\x92\xa2ab\x01\x90",
	} {
		buf := []byte(wire)
		msg, _, err := codecs[name].Next(buf)
		if err != nil {
			t.Fatal(err)
		}
		first := msg.(*protocol.Invocation).RawArguments[0]
		_ = append(first, "overwritten"...)
		if string(buf) != wire {
			t.Errorf("%s: appending to an argument changed the buffer to %q", name, buf)
		}
		i := bytes.Index(buf, first)
		buf[i+1]++
		if first[1] != buf[i+1] {
			t.Errorf("%s: the argument is a copy", name)
		}
	}
}

// Sizes of Microsoft's own tests.
// Source: docs/reference/hub-protocol.md, sections 8.13 and 8.14.
func TestFramedSizes(t *testing.T) {
	one := []any{1}
	call := func(id string, streams ...string) protocol.Invocation {
		return protocol.Invocation{InvocationID: id, Target: "Target", Arguments: one, StreamIDs: streams}
	}
	plain, withID, withStream := call(""), call("1"), call("1", "2")
	for _, tt := range []struct {
		name       string
		msg        protocol.Message
		json, pack int
	}{
		{"invocation", &plain, 45, 15},
		{"invocation with id", &withID, 64, 16},
		{"invocation with id and stream", &withStream, 82, 18},
		{"close", &protocol.Close{}, 11, 5},
		{"close with error", &protocol.Close{Error: "error", HasError: true}, 27, 10},
		{"stream item null", &protocol.StreamItem{InvocationID: "1"}, 42, 7},
		{"stream item 1", &protocol.StreamItem{InvocationID: "1", Item: 1}, 39, 7},
		{"completion without result", &protocol.Completion{InvocationID: "1", Kind: protocol.ResultVoid}, 30, 7},
		{"completion 1", &protocol.Completion{InvocationID: "1", Kind: protocol.ResultValue, Result: 1}, 41, 8},
		{"completion error", &protocol.Completion{InvocationID: "1", Kind: protocol.ResultError, Error: "error"}, 46, 13},
		{"stream invocation", &protocol.StreamInvocation{Invocation: protocol.Invocation{InvocationID: "1", Target: "Target"}}, 63, 15},
		{"stream invocation with stream", &protocol.StreamInvocation{Invocation: protocol.Invocation{InvocationID: "1", Target: "Target", StreamIDs: []string{"2"}}}, 81, 17},
		{"cancel", &protocol.CancelInvocation{InvocationID: "1"}, 30, 6},
		{"ping", &protocol.Ping{}, 11, 3},
	} {
		for name, want := range map[string]int{"json": tt.json, "messagepack": tt.pack} {
			got, err := codecs[name].Append(nil, tt.msg)
			if err != nil || len(got) != want {
				t.Errorf("%s as %s = %q, %d bytes, error %v, want %d bytes", tt.name, name, got, len(got), err, want)
			}
		}
	}
}

// cyclic contains itself.
type cyclic struct {
	Next *cyclic `json:"next"`
}

func TestWhatCannotBeEncodedIsAnErrorAndLeavesDstAlone(t *testing.T) {
	loop := &cyclic{}
	loop.Next = loop
	list := make([]any, 1)
	list[0] = list
	dict := map[string]any{}
	dict["a"] = dict
	for name, value := range map[string]any{
		"a channel":                  make(chan int),
		"a function in a list":       []any{func() {}},
		"a struct that holds itself": loop,
		"a list that holds itself":   list,
		"a map that holds itself":    dict,
		"a raw value that is none":   protocol.Raw("\xc1"),
		"an empty raw value":         protocol.Raw{},
		"two raw values":             protocol.Raw("1 1"),
	} {
		for codecName, codec := range codecs {
			dst := append(make([]byte, 0, 4096), "dst"...)
			for _, m := range []protocol.Message{
				&protocol.Invocation{Target: "T", Arguments: []any{1, value}},
				&protocol.StreamItem{InvocationID: "1", Item: value},
				&protocol.Completion{InvocationID: "1", Kind: protocol.ResultValue, Result: value},
			} {
				got, err := codec.Append(dst, m)
				if err == nil || string(got) != "dst" {
					t.Errorf("%s, %s: Append(%T) = %q, error %v, want an error", codecName, name, m, got, err)
				}
			}
			if got, err := codec.AppendValue(dst, value); err == nil || string(got) != "dst" {
				t.Errorf("%s, %s: AppendValue = %q, error %v, want an error", codecName, name, got, err)
			}
		}
	}
}

func TestAnErrorOfAppendSaysWhichArgument(t *testing.T) {
	for name, codec := range codecs {
		_, err := codec.Append(nil, &protocol.Invocation{Target: "T", Arguments: []any{1, make(chan int)}})
		if err == nil || !strings.Contains(err.Error(), "argument 2") || !strings.Contains(err.Error(), "chan int") {
			t.Errorf("%s: error = %v, want one that names argument 2 and chan int", name, err)
		}
	}
}

func TestNilListsAreEmptyAndEmptyRawArgumentsWin(t *testing.T) {
	for _, tt := range []struct {
		name       string
		msg        protocol.Invocation
		json, pack string
	}{
		{"nothing at all", protocol.Invocation{Target: "T"}, `{"type":1,"target":"T","arguments":[]}`, "\x96\x01\x80\xc0\xa1T\x90\x90"},
		{"empty stream ids", protocol.Invocation{Target: "T", StreamIDs: []string{}}, `{"type":1,"target":"T","arguments":[],"streamIds":[]}`, "\x96\x01\x80\xc0\xa1T\x90\x90"},
		{"no raw arguments", protocol.Invocation{Target: "T", Arguments: []any{1}, RawArguments: []protocol.Raw{}}, `{"type":1,"target":"T","arguments":[]}`, "\x96\x01\x80\xc0\xa1T\x90\x90"},
		{"headers", protocol.Invocation{Target: "T", Headers: []protocol.Header{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}}}, `{"type":1,"headers":{"b":"1","a":"2"},"target":"T","arguments":[]}`, "\x96\x01\x82\xa1b\xa11\xa1a\xa12\xc0\xa1T\x90\x90"},
	} {
		if got, err := (protocol.JSON{}).Append(nil, &tt.msg); err != nil || string(got) != tt.json+"\x1e" {
			t.Errorf("%s: JSON = %q, error %v, want %q", tt.name, got, err, tt.json)
		}
		if got, err := (protocol.MessagePack{}).Append(nil, &tt.msg); err != nil || string(got[1:]) != tt.pack {
			t.Errorf("%s: MessagePack = %q, error %v, want %q", tt.name, got, err, tt.pack)
		}
	}
}

func TestCodecsCanBeKeysOfAMap(t *testing.T) {
	byCodec := map[protocol.Codec]string{protocol.JSON{}: "json", protocol.MessagePack{}: "messagepack"}
	for name, codec := range codecs {
		if byCodec[codec] != name || codec.Name() != name || codec.Binary() != (name == "messagepack") {
			t.Errorf("codec %T is %q, binary %v, want %q", codec, codec.Name(), codec.Binary(), name)
		}
	}
}
