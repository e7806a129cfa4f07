package protocol_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

// readJSON decodes one record.
func readJSON(t *testing.T, record string) protocol.Message {
	t.Helper()
	m, rest, err := protocol.JSON{}.Next([]byte(record + "\x1e"))
	if err != nil || len(rest) > 0 {
		t.Fatalf("Next(%q) = %v, rest %q, error %v", record, m, rest, err)
	}
	return m
}

func TestJSONRecords(t *testing.T) {
	raws := func(texts ...string) []protocol.Raw {
		list := make([]protocol.Raw, len(texts))
		for i, s := range texts {
			list[i] = protocol.Raw(s)
		}
		return list
	}
	for _, tt := range []struct {
		name, record string
		want         protocol.Message
	}{
		{"type last, arguments first", `{"arguments":[1,"a"],"target":"T","type":1}`, &protocol.Invocation{Target: "T", RawArguments: raws("1", `"a"`)}},
		{"blanks around everything", " { \"type\" :\t1 ,\r\n \"target\" : \"T\" , \"arguments\" : [ 1 , [ 2 , 3 ] , { } , [ ] ] } ", &protocol.Invocation{Target: "T", RawArguments: raws("1", "[ 2 , 3 ]", "{ }", "[ ]")}},
		{"more arguments than usual", `{"type":1,"target":"T","arguments":[1,2,3,4,5,6,7,8,9,10]}`, &protocol.Invocation{Target: "T", RawArguments: raws("1", "2", "3", "4", "5", "6", "7", "8", "9", "10")}},
		{"escaped names and values", `{"\u0074ype":1,"t\u0061rget":"\u00e4\ud83d\ude80\/\b\f\n\r\t\"\\","arguments":[]}`, &protocol.Invocation{Target: "ä🚀/\b\f\n\r\t\"\\", RawArguments: raws()}},
		{"names have a case", `{"type":6,"TYPE":7,"Error":1}`, &protocol.Ping{}},
		{"the last of several wins", `{"type":7,"error":"a","error":"b","type":7,"allowReconnect":false,"allowReconnect":true}`, &protocol.Close{Error: "b", HasError: true, AllowReconnect: true}},
		{"an empty id is none", `{"type":1,"invocationId":"","target":"T","arguments":[]}`, &protocol.Invocation{Target: "T", RawArguments: raws()}},
		{"an empty target is one", `{"type":4,"invocationId":"1","target":"","arguments":[],"streamIds":[]}`, &protocol.StreamInvocation{Invocation: protocol.Invocation{InvocationID: "1", RawArguments: raws(), StreamIDs: []string{}}}},
		{"a header that comes twice", `{"type":5,"headers":{"a":"1","b":"2","a":"3"},"invocationId":"1"}`, &protocol.CancelInvocation{InvocationID: "1", Headers: []protocol.Header{{Name: "a", Value: "3"}, {Name: "b", Value: "2"}}}},
		{"members of other types", `{"type":6,"item":1,"result":[],"arguments":[{}],"streamIds":["a"],"sequenceId":5}`, &protocol.Ping{}},
		{"unknown type", `{"type":42,"x":[{"y":null}]}`, &protocol.Unknown{Type: 42}},
		{"type zero", `{"type":0}`, &protocol.Unknown{}},
		{"negative type", `{"type":-2147483648}`, &protocol.Unknown{Type: -2147483648}},
		{"minus zero", `{"type":-0}`, &protocol.Unknown{}},
		{"largest sequence id", `{"type":8,"sequenceId":9223372036854775807}`, &protocol.Ack{SequenceID: 9223372036854775807}},
		{"smallest sequence id", `{"type":9,"sequenceId":-9223372036854775808}`, &protocol.Sequence{SequenceID: -9223372036854775808}},
		{"text after the object", `{"type":6}garbage`, &protocol.Ping{}},
		{"result null", `{"type":3,"invocationId":"1","result":null}`, &protocol.Completion{InvocationID: "1", Kind: protocol.ResultValue, RawResult: protocol.Raw("null")}},
		{"no result", `{"type":3,"invocationId":"1"}`, &protocol.Completion{InvocationID: "1", Kind: protocol.ResultVoid}},
		{"empty error", `{"type":3,"invocationId":"1","error":""}`, &protocol.Completion{InvocationID: "1", Kind: protocol.ResultError}},
		{"empty error of a close", `{"type":7,"error":""}`, &protocol.Close{HasError: true}},
	} {
		if got := readJSON(t, tt.record); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: Next(%q)\n got: %#v\nwant: %#v", tt.name, tt.record, got, tt.want)
		}
	}
}

func TestJSONSyntaxIsChecked(t *testing.T) {
	for _, value := range []string{
		"", "x", "tru", "truex", "nul", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1_0", "NaN", "Infinity", "'a'",
		`"`, `"\`, `"\x"`, `"\u12"`, `"\u123g"`, "\"\x00\"", "\"\n\"", `"a" "b"`,
		"[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "[}", "{]", "{", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `{1:1}`, `{"a":1]`, `{"a":{}`,
		"/**/1", "1//", "[1/**/]", "\xef\xbb\xbf1", "\xa01", "\v1",
		strings.Repeat("[", 63) + strings.Repeat("]", 63), strings.Repeat(`{"a":`, 63) + "1" + strings.Repeat("}", 63),
	} {
		for _, record := range []string{`{"type":1,"target":"T","arguments":[%s]}`, `{"type":1,"target":"T","arguments":[],"x":[%s]}`, `{"type":2,"invocationId":"1","item":[%s]}`} {
			if value == "" {
				record = strings.Replace(record, "[%s]", "[%s,]", 1)
			}
			m, _, err := protocol.JSON{}.Next([]byte(fmt.Sprintf(record, value) + "\x1e"))
			var e *protocol.Error
			if !errors.As(err, &e) || e.Type != "InvalidDataException" || e.Text != "Error reading JSON." {
				t.Errorf("Next("+record+") = %#v, error %v, want Error reading JSON.", value, m, err)
			}
		}
	}
}

func TestJSONDepthIsSixtyFour(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		record string
		most   int
	}{
		{`{"type":1,"target":"T","arguments":[%s]}`, 62},
		{`{"type":2,"invocationId":"1","item":%s}`, 63},
		{`{"type":3,"invocationId":"1","result":%s}`, 63},
		{`{"type":6,"unknown":%s}`, 63},
	} {
		for _, n := range []int{tt.most, tt.most + 1} {
			_, _, err := protocol.JSON{}.Next([]byte(fmt.Sprintf(tt.record, deep(n)) + "\x1e"))
			if (err == nil) != (n == tt.most) {
				t.Errorf("Next of %d arrays in %s: error = %v", n, tt.record, err)
			}
		}
	}
}

func TestManyHeadersTakeLittleTime(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"type":5,"invocationId":"1","headers":{"twice":"no"`)
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&b, `,"h%d":"v"`, i)
	}
	b.WriteString(`,"twice":"yes"}}`)
	headers := readJSON(t, b.String()).(*protocol.CancelInvocation).Headers
	if len(headers) != n+1 || headers[0].Value != "yes" {
		t.Errorf("%d headers, the first is %v, want %d and the last value of the first", len(headers), headers[0], n+1)
	}
}

func TestJSONMessagesThatCannotBeEncoded(t *testing.T) {
	for _, m := range []protocol.Message{
		nil,
		&protocol.Completion{InvocationID: "1"}, &protocol.Completion{InvocationID: "1", Kind: 4},
		&protocol.Invocation{Target: "T", RawArguments: []protocol.Raw{nil}},
	} {
		for name, codec := range codecs {
			if got, err := codec.Append([]byte("dst"), m); err == nil || string(got) != "dst" {
				t.Errorf("%s: Append(%#v) = %q, error %v, want an error", name, m, got, err)
			}
		}
	}
}
