package protocol_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/internal/testvectors"
	"github.com/hubwire/hubwire/protocol"
)

func TestHandshakeRequests(t *testing.T) {
	for _, tt := range []struct {
		name, record string
		want         protocol.HandshakeRequest
	}{
		{"as official clients write it", `{"protocol":"json","version":1}`, protocol.HandshakeRequest{Protocol: "json", Version: 1}},
		{"name as sent", `{"protocol":"JSON","version":2}`, protocol.HandshakeRequest{Protocol: "JSON", Version: 2}},
		{"zero and negative versions", `{"protocol":"json","version":-1}`, protocol.HandshakeRequest{Protocol: "json", Version: -1}},
		{"a version that nobody has", `{"protocol":"json","version":9001}`, protocol.HandshakeRequest{Protocol: "json", Version: 9001}},
		{"other order and blanks", " {\t\"version\" : 1 ,\r\n\"protocol\":\"messagepack\" } ", protocol.HandshakeRequest{Protocol: "messagepack", Version: 1}},
		{"escapes in names and values", `{"\u0070rotocol":"js\u006Fn","version":1}`, protocol.HandshakeRequest{Protocol: "json", Version: 1}},
		{"unknown members of every kind", `{"a":{"b":[1,{}]},"protocol":"json","c":null,"version":1,"d":-1.5e3,"Version":"x"}`, protocol.HandshakeRequest{Protocol: "json", Version: 1}},
		{"the last of several wins", `{"protocol":"a","version":7,"protocol":"json","version":1}`, protocol.HandshakeRequest{Protocol: "json", Version: 1}},
		{"text after the object", `{"protocol":"json","version":1}garbage`, protocol.HandshakeRequest{Protocol: "json", Version: 1}},
		{"an empty name", `{"protocol":"","version":1}`, protocol.HandshakeRequest{Version: 1}},
	} {
		got, rest, err := protocol.ParseHandshakeRequest([]byte(tt.record + "\x1ebehind"))
		if err != nil || got != tt.want || string(rest) != "behind" {
			t.Errorf("%s: ParseHandshakeRequest(%q) = %+v, rest %q, error %v, want %+v", tt.name, tt.record, got, rest, err, tt.want)
		}
	}
}

func TestRefusedHandshakeRequests(t *testing.T) {
	for _, tt := range []struct{ record, kind, text string }{
		{`{}`, "InvalidDataException", `Missing required property 'protocol'. Message content: {}`},
		{`{"protocol":"json"}`, "InvalidDataException", `Missing required property 'version'. Message content: {"protocol":"json"}`},
		{`{"version":1}`, "InvalidDataException", `Missing required property 'protocol'. Message content: {"version":1}`},
		{`{"type":6}`, "InvalidDataException", `Missing required property 'protocol'. Message content: {"type":6}`},
		{`{"Protocol":"json","version":1}`, "InvalidDataException", `Missing required property 'protocol'. Message content: {"Protocol":"json","version":1}`},
		{`42`, "InvalidDataException", `Unexpected JSON Token Type 'Number'. Expected a JSON Object.`},
		{`"42"`, "InvalidDataException", `Unexpected JSON Token Type 'String'. Expected a JSON Object.`},
		{`null`, "InvalidDataException", `Unexpected JSON Token Type 'Null'. Expected a JSON Object.`},
		{`[]`, "InvalidDataException", `Unexpected JSON Token Type 'Array'. Expected a JSON Object.`},
		{`{"version":"1"}`, "InvalidDataException", `Expected 'version' to be of type Number.`},
		{`{"protocol":null,"version":1}`, "InvalidDataException", `Expected 'protocol' to be of type String.`},
		{`{"protocol":1,"version":1}`, "InvalidDataException", `Expected 'protocol' to be of type String.`},
		{`{"protocol":"json","version":1.5}`, "FormatException", `Either the JSON value is not in a supported format, or is out of bounds for the Int32 type.`},
		{`{"protocol":"json","version":2147483648}`, "FormatException", `Either the JSON value is not in a supported format, or is out of bounds for the Int32 type.`},
		{`{"protocol":"json","version":null}`, "InvalidDataException", `Missing required property 'version'. Message content: {"protocol":"json","version":null}`},
		{`x`, "JsonReaderException", `'x' is an invalid start of a value. LineNumber: 0 | BytePositionInLine: 0.`},
		{``, "JsonReaderException", `The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when isFinalBlock is true. LineNumber: 0 | BytePositionInLine: 0.`},
	} {
		got, rest, err := protocol.ParseHandshakeRequest([]byte(tt.record + "\x1ebehind"))
		var e *protocol.Error
		if !errors.As(err, &e) || e.Type != tt.kind || e.Text != tt.text || string(rest) != "behind" || got != (protocol.HandshakeRequest{}) {
			t.Errorf("ParseHandshakeRequest(%q) = %+v, rest %q\n got: %#v\nwant: %s: %s", tt.record, got, rest, err, tt.kind, tt.text)
		}
	}
}

// No client depends on what .NET's parser says to text that is not JSON, but
// the text must be like a parser's.
func TestHandshakesThatAreNotJSONAreErrorsOfTheParser(t *testing.T) {
	for _, record := range []string{"{", `{"a"`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, "{\n\"a\":\x00}", `{"a":"` + "\n" + `"}`, "tru", `{"protocol":"json","version":01}`, `{"a":` + strings.Repeat("[", 64)} {
		_, _, err := protocol.ParseHandshakeRequest([]byte(record + "\x1e"))
		var e *protocol.Error
		if !errors.As(err, &e) || e.Type != "JsonReaderException" || !strings.Contains(e.Text, "LineNumber: ") {
			t.Errorf("ParseHandshakeRequest(%q) error = %#v, want one of the parser", record, err)
		}
	}
}

func TestHandshakeRequestCutAnywhereIsIncomplete(t *testing.T) {
	wire := "{\"protocol\":\"json\",\"version\":1}\x1e"
	for i := range len(wire) {
		req, rest, err := protocol.ParseHandshakeRequest([]byte(wire[:i]))
		if !errors.Is(err, protocol.ErrIncomplete) || string(rest) != wire[:i] {
			t.Errorf("ParseHandshakeRequest(%q) = %v, rest %q, error %v, want ErrIncomplete", wire[:i], req, rest, err)
		}
		if _, rest, err := protocol.ParseHandshakeResponse([]byte(wire[:i])); !errors.Is(err, protocol.ErrIncomplete) || string(rest) != wire[:i] {
			t.Errorf("ParseHandshakeResponse(%q): rest %q, error %v, want ErrIncomplete", wire[:i], rest, err)
		}
	}
}

func TestHandshakeVectorsParseAndAppendToTheSameBytes(t *testing.T) {
	count := 0
	for _, v := range testvectors.Load(t, vectorFolder) {
		switch v.Codec {
		case testvectors.Handshake:
			req, rest, err := protocol.ParseHandshakeRequest([]byte(v.Wire))
			if got := protocol.AppendHandshakeRequest(nil, req); err != nil || len(rest) > 0 || string(got) != v.Wire {
				t.Errorf("%s: %q parses to %+v, error %v, and is appended as %q", v.Name, v.Wire, req, err, got)
			}
		case testvectors.HandshakeResponse:
			text, rest, err := protocol.ParseHandshakeResponse([]byte(v.Wire))
			if got := protocol.AppendHandshakeResponse(nil, text); err != nil || len(rest) > 0 || string(got) != v.Wire {
				t.Errorf("%s: %q parses to %q, error %v, and is appended as %q", v.Name, v.Wire, text, err, got)
			}
		default:
			continue
		}
		count++
	}
	if count == 0 {
		t.Error("there is no vector of a handshake")
	}
}

func TestHandshakeResponses(t *testing.T) {
	for _, tt := range []struct{ name, record, want string }{
		{"success", `{}`, ""},
		{"an empty error is no error", `{"error":""}`, ""},
		{"refusal", `{"error":"The protocol 'x' is not supported."}`, "The protocol 'x' is not supported."},
		{"unknown members", `{"minorVersion":1,"error":"e","more":[{}]}`, "e"},
	} {
		got, rest, err := protocol.ParseHandshakeResponse([]byte(tt.record + "\x1ebehind"))
		if err != nil || got != tt.want || string(rest) != "behind" {
			t.Errorf("%s: ParseHandshakeResponse(%q) = %q, rest %q, error %v, want %q", tt.name, tt.record, got, rest, err, tt.want)
		}
	}
	for _, tt := range []struct{ record, text string }{
		{`{"type":6}`, "Expected a handshake response from the server."},
		{`{"error":null}`, "Expected 'error' to be of type String."},
		{`[]`, "Unexpected JSON Token Type 'Array'. Expected a JSON Object."},
	} {
		got, _, err := protocol.ParseHandshakeResponse([]byte(tt.record + "\x1e"))
		var e *protocol.Error
		if !errors.As(err, &e) || e.Text != tt.text {
			t.Errorf("ParseHandshakeResponse(%q) = %q, error %v, want %q", tt.record, got, err, tt.text)
		}
	}
}

func TestAppendHandshakeResponse(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "{}\x1e"},
		{"Handshake was canceled.", "{\"error\":\"Handshake was canceled.\"}\x1e"},
		{`The protocol '<"\' is not supported.`, "{\"error\":\"The protocol '<\\\"\\\\' is not supported.\"}\x1e"},
	} {
		if got := protocol.AppendHandshakeResponse([]byte("dst"), tt.text); !bytes.Equal(got, []byte("dst"+tt.want)) {
			t.Errorf("AppendHandshakeResponse(%q) = %q, want %q", tt.text, got, "dst"+tt.want)
		}
	}
}
