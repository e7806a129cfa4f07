package protocol_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

func TestADecoderReadsWhatItsCodecReads(t *testing.T) {
	var messages []protocol.Message
	for i := range 12 { // more and fewer arguments than a Decoder has memory for, one after the other
		inv := protocol.Invocation{Target: "Method", Arguments: []any{}, InvocationID: fmt.Sprint(i)}
		for j := range (i * 7) % 10 {
			inv.Arguments = append(inv.Arguments, fmt.Sprint(i, j))
		}
		if i%3 == 1 {
			inv.Target, inv.StreamIDs, inv.Headers = "Other", []string{"a"}, []protocol.Header{{Name: "n", Value: "v"}}
		}
		messages = append(messages, &inv, &protocol.Ping{}, &protocol.StreamInvocation{Invocation: inv})
		if i%3 == 2 {
			inv.InvocationID = ""
		}
	}
	var reused protocol.Decoder
	for name, codec := range codecs {
		var buf []byte
		var err error
		for _, m := range messages {
			if buf, err = codec.Append(buf, m); err != nil {
				t.Fatal(err)
			}
		}
		reused.Reset(codec)
		for rest := buf; len(rest) > 0; {
			want, after, err := codec.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			got, gotAfter, err := reused.Next(rest)
			if err != nil || len(gotAfter) != len(after) {
				t.Fatalf("%s: Next: %v, %d bytes left, want %d", name, err, len(gotAfter), len(after))
			}
			if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
				t.Errorf("%s:\n got  %s\n want %s", name, g, w)
			}
			rest = after
		}
		if _, _, err := reused.Next(nil); !errors.Is(err, protocol.ErrIncomplete) {
			t.Errorf("%s: error %v, want ErrIncomplete", name, err)
		}
	}
}

func TestADecoderAllocatesLessThanItsCodec(t *testing.T) {
	for name, codec := range codecs {
		buf, err := codec.Append(nil, &protocol.Invocation{InvocationID: "12", Target: "Echo", Arguments: []any{"text", 1}})
		if err != nil {
			t.Fatal(err)
		}
		d := protocol.NewDecoder(codec)
		if n := testing.AllocsPerRun(100, func() { _, _, _ = d.Next(buf) }); n > 1 { // ids, at times
			t.Errorf("%s: %v allocations, want 1 at most", name, n)
		}
	}
}

var errEmbeds = errors.New("the method of the codec that embeds")

// Each of these codecs embeds JSON or MessagePack and has one method of its
// own.
type (
	ownName     struct{ protocol.JSON }
	ownBinary   struct{ protocol.JSON }
	ownAppend   struct{ protocol.JSON }
	ownNext     struct{ protocol.JSON }
	ownUnmarsh  struct{ protocol.JSON }
	ownValue    struct{ protocol.JSON }
	ownPackNext struct{ protocol.MessagePack }
	ownFramer   struct{ protocol.JSON }
)

func (ownName) Name() string                                            { return "own" }
func (ownBinary) Binary() bool                                          { return true }
func (ownAppend) Append(dst []byte, _ protocol.Message) ([]byte, error) { return dst, errEmbeds }
func (ownNext) Next(buf []byte) (protocol.Message, []byte, error)       { return ownLine(buf) }
func (ownUnmarsh) Unmarshal(protocol.Raw, any) error                    { return errEmbeds }
func (ownValue) AppendValue(dst []byte, _ any) ([]byte, error)          { return dst, errEmbeds }
func (ownPackNext) Next(buf []byte) (protocol.Message, []byte, error)   { return ownLine(buf) }
func (ownFramer) Missing(buf []byte, seen int) int                      { return 7 }

// ownLine has a framing that this package does not know: a message is a line.
func ownLine(buf []byte) (protocol.Message, []byte, error) {
	line, rest, ok := bytes.Cut(buf, []byte("\n"))
	if !ok {
		return nil, buf, protocol.ErrIncomplete
	}
	return &protocol.Unknown{Type: int64(len(line))}, rest, nil
}

// Every method of Codec is in the table, so none can be added that is not
// called.
func TestACodecThatEmbedsOursAndHasAMethodOfItsOwnIsObeyed(t *testing.T) {
	called := map[string]bool{
		"Name":        protocol.Codec(ownName{}).Name() == "own",
		"Binary":      protocol.Codec(ownBinary{}).Binary(),
		"Append":      errorOf(protocol.Codec(ownAppend{}).Append(nil, &protocol.Ping{})) == errEmbeds,
		"Unmarshal":   protocol.Codec(ownUnmarsh{}).Unmarshal(protocol.Raw("1"), new(int)) == errEmbeds,
		"AppendValue": errorOf(protocol.Codec(ownValue{}).AppendValue(nil, 1)) == errEmbeds,
		"Next":        true,
	}
	for _, codec := range []protocol.Codec{ownNext{}, &ownNext{}, ownPackNext{}, &ownPackNext{}} {
		m, rest, err := protocol.NewDecoder(codec).Next([]byte("abc\ndef"))
		if u, ok := m.(*protocol.Unknown); err != nil || !ok || u.Type != 3 || string(rest) != "def" {
			t.Errorf("%T: a Decoder returns %#v, rest %q, error %v", codec, m, rest, err)
			called["Next"] = false
		}
	}
	for i := range reflect.TypeFor[protocol.Codec]().NumMethod() {
		if name := reflect.TypeFor[protocol.Codec]().Method(i).Name; !called[name] {
			t.Errorf("%s of a codec that embeds ours is not called", name)
		}
	}
}

func errorOf(_ []byte, err error) error { return err }

// What a codec embeds says nothing about where its messages end: a receiver
// that waited for the bytes of another framing would wait for ever.
func TestACodecThatEmbedsOursInheritsNoFraming(t *testing.T) {
	for _, tt := range []struct {
		codec protocol.Codec
		n     int
		known bool
	}{
		{protocol.JSON{}, 1, true}, {protocol.MessagePack{}, 0x7b - 3, true}, {protocol.JSON{Values: upper{}}, 1, true},
		{ownNext{}, 0, false}, {&ownNext{}, 0, false}, {ownPackNext{}, 0, false}, {&protocol.JSON{}, 0, false}, {ownFramer{}, 7, true},
	} {
		if n, known := protocol.Missing(tt.codec, []byte("{abc"), 0); n != tt.n || known != tt.known {
			t.Errorf("%T: %d bytes are missing, known %v, want %d, %v", tt.codec, n, known, tt.n, tt.known)
		}
	}
}

// What Next has returned is decoded as the codec does it, also where members come in
// another order, with blanks, escaped names, twice, or not at all.
func TestDecoderUnmarshalsWhatItHasRead(t *testing.T) {
	type point struct {
		X    int               `json:"x"`
		Y    *int              `json:"y"`
		Name string            `json:"näme"`
		Tags map[string]string `json:"tags"`
		Any  any               `json:"any"`
		Next []point           `json:"next"`
	}
	for _, value := range []string{
		`{}`, `{ }`, `{"x":1,"y":2,"näme":"a","tags":{"k":"v"},"any":[1],"next":[]}`,
		`{"y":2,"x":1}`, `{"x":1,"X":2}`, `{"x":1,"x":2,"y":3}`, `{ "x" : 1 , "y" : 2 }`, `{"x":1, "y":2}`,
		`{"\u0078":7,"y":8}`, `{"n\u00e4me":"b"}`, `{"other":{"x":[1,"]}"]},"x":1,"y":null}`, `{"x":1,"yy":2}`, `{"x":-9223372036854775808}`,
		`{"x":9223372036854775808}`, `{"x":1.0}`, `{"x":"1"}`, `{"x":null}`, `{"next":[{"x":1,"next":[{"y":2}]},{"x":3}]}`,
		`[]`, `"text"`, `1`, `null`, `{"any":{"x":1,"x":[2]}}`,
	} {
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			raw := protocol.Raw(value)
			if codec.Binary() {
				var v any
				if err := (protocol.JSON{}).Unmarshal(raw, &v); err != nil {
					t.Fatal(err)
				}
				var err error
				if raw, err = codec.AppendValue(nil, v); err != nil {
					t.Fatal(err)
				}
			}
			message, err := codec.Append(nil, &protocol.Invocation{Target: "T", Arguments: []any{raw}})
			if err != nil {
				t.Fatal(err)
			}
			d := protocol.NewDecoder(codec)
			m, _, err := d.Next(message)
			if err != nil {
				t.Fatal(err)
			}
			var got, want point
			gotErr := d.Unmarshal(m.(*protocol.Invocation).RawArguments[0], &got)
			wantErr := codec.Unmarshal(raw, &want)
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s: got %+v, error %v, want %+v, error %v", codec.Name(), value, got, gotErr, want, wantErr)
			}
			var anything, wanted any
			if gotErr, wantErr := d.Unmarshal(raw, &anything), codec.Unmarshal(raw, &wanted); fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !reflect.DeepEqual(anything, wanted) {
				t.Errorf("%s: %s into any: got %v, error %v, want %v, error %v", codec.Name(), value, anything, gotErr, wanted, wantErr)
			}
		}
	}
}
