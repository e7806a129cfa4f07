package protocol_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

type floats struct {
	F32  float32            `json:"f32"`
	F64  float64            `json:"f64"`
	List []float64          `json:"list"`
	Map  map[string]float32 `json:"map"`
	Time time.Time          `json:"time"`
	Any  any                `json:"any"`
}

type embeds struct {
	floats
	*inner
	Name string `json:"name,omitempty"`
}

type named string

func TestJSONValuesAreWrittenAsASPNETWritesThem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"nil", nil, `null`}, {"strings", "a\"🚀", `"a\"\uD83D\uDE80"`}, {"named strings", named("\u00a0"), `"\u00A0"`},
		{"true", true, `true`}, {"false", false, `false`},
		{"int", -5, `-5`}, {"int8", int8(-128), `-128`}, {"int16", int16(5), `5`}, {"int32", int32(5), `5`}, {"int64", int64(math.MinInt64), `-9223372036854775808`},
		{"uint", uint(5), `5`}, {"uint8", uint8(255), `255`}, {"uint16", uint16(5), `5`}, {"uint32", uint32(5), `5`}, {"uint64", uint64(math.MaxUint64), `18446744073709551615`},
		{"bytes", []byte{1, 2, 3}, `"AQID"`}, {"no bytes", []byte{}, `""`}, {"nil bytes", []byte(nil), `null`},
		{"raw", protocol.Raw(`{"a": 1}`), `{"a": 1}`}, {"nil raw", protocol.Raw(nil), `null`}, {"raw message", json.RawMessage(`{ "a" : "\u003c" }`), `{"a":"<"}`}, {"nil raw message", json.RawMessage(nil), `null`},
		{"raw inside", map[string]protocol.Raw{"a": protocol.Raw(`[ 1 ]`), "b": nil}, `{"a":[ 1 ],"b":null}`},
		{"nil pointers, lists and maps", struct {
			A *int
			B []int
			C map[string]int
		}{}, `{"A":null,"B":null,"C":null}`},
		{"any list", []any{1.0, "\u00a0", nil, []any{}, map[string]any{}, []any(nil), map[string]any(nil), 1e20}, `[1,"\u00A0",null,[],{},null,null,1E+20]`},
		{"any map", map[string]any{"b": 1e17, "a\u00a0": true}, `{"a\u00A0":true,"b":1E+17}`},
		{"no HTML escapes", struct {
			A string `json:"<a>"`
		}{"&"}, `{"<a>":"&"}`},
		{"floats inside", floats{F32: 1e9, F64: 1e17, List: []float64{1e-5, 2, 1e21}, Map: map[string]float32{"a": 16777216}, Time: noon.Add(123), Any: 2.5}, `{"f32":1E+09,"f64":1E+17,"list":[1E-05,2,1E+21],"map":{"a":16777216},"time":"2026-01-02T03:04:05.6780001Z","any":2.5}`},
		{"pointer to embedded", &embeds{floats: floats{F64: 1e-7}, inner: &inner{5}}, `{"f32":0,"f64":1E-07,"list":null,"map":null,"time":"0001-01-01T00:00:00Z","any":null,"n":5}`},
		{"time of a zone", noon.In(time.FixedZone("", -90*60)), `"2026-01-02T01:34:05.678-01:30"`},
		{"time with nanoseconds", noon.Truncate(time.Second).Add(1), `"2026-01-02T03:04:05Z"`},
	} {
		got, err := protocol.JSON{}.AppendValue([]byte("dst"), tt.value)
		if err != nil || string(got) != "dst"+tt.want {
			t.Errorf("%s: AppendValue(%#v) = %s, error %v, want dst%s", tt.name, tt.value, got, err, tt.want)
		}
	}
}

// Source: answers of ASP.NET Core 10.0.12 to EchoDouble and EchoSample.
func TestJSONFloats(t *testing.T) {
	for want, f := range map[string]float64{
		"0": 0, "-0": math.Copysign(0, -1), "2": 2, "0.1": 0.1, "1000000000000000": 1e15, "10000000000000000": 1e16, "99000000000000000": 9.9e16, "1E+17": 1e17, "-1E+17": -1e17,
		"1.1E+17": 1.1e17, "1.2345678901234568E+17": 123456789012345678, "12345678901234568": 12345678901234567, "99999999999999980": 99999999999999990, "1E+20": 1e20, "1.5E+300": 1.5e300, "1E+100": 1e100,
		"0.0001": 1e-4, "0.00012345": 0.00012345, "9.9E-05": 9.9e-5, "1.23E-05": 1.23e-5, "1E-10": 1e-10, "5E-324": 5e-324, "1.7976931348623157E+308": math.MaxFloat64, "12345678901234.5": 12345678901234.5,
	} {
		if got, err := (protocol.JSON{}).AppendValue(nil, f); err != nil || string(got) != want {
			t.Errorf("AppendValue(float64 %g) = %s, error %v, want %s", f, got, err, want)
		}
	}
	for want, f := range map[string]float32{"1000000": 1e6, "100000000": 1e8, "123456790": 123456789, "1E+09": 1e9, "1.5E+09": 1.5e9, "1E+10": 1e10, "0.0001": 1e-4, "1E-05": 1e-5, "0.1": 0.1, "3.4028235E+38": math.MaxFloat32, "1E-45": 1e-45, "123456.78": 123456.78} {
		if got, err := (protocol.JSON{}).AppendValue(nil, f); err != nil || string(got) != want {
			t.Errorf("AppendValue(float32 %g) = %s, error %v, want %s", f, got, err, want)
		}
	}
	for _, f := range []any{math.NaN(), math.Inf(1), float32(math.Inf(-1)), []float64{math.NaN()}, []any{math.Inf(1)}} {
		if got, err := (protocol.JSON{}).AppendValue(nil, f); err == nil {
			t.Errorf("AppendValue(%v) = %s, want an error", f, got)
		}
	}
}

// nested returns n lists around nothing.
func nested(n int) any {
	v := []any{}
	for range n - 1 {
		v = []any{v}
	}
	return v
}

type deepList []deepList

func TestJSONValuesNestAsDeepAsTheMessageAllows(t *testing.T) {
	static := func(n int) deepList {
		v := deepList{}
		for range n - 1 {
			v = deepList{v}
		}
		return v
	}
	for _, tt := range []struct {
		most    int
		message func(v any) protocol.Message
	}{
		{62, func(v any) protocol.Message { return &protocol.Invocation{Target: "T", Arguments: []any{v}} }},
		{63, func(v any) protocol.Message { return &protocol.StreamItem{InvocationID: "1", Item: v} }},
	} {
		for n := tt.most; n <= tt.most+1; n++ {
			for _, v := range []any{nested(n), static(n)} {
				wire, err := protocol.JSON{}.Append(nil, tt.message(v))
				if (err == nil) != (n == tt.most) {
					t.Errorf("Append of %d lists (%T) in %T: error %v", n, v, tt.message(v), err)
				}
				if _, _, readErr := (protocol.JSON{}).Next(wire); err == nil && readErr != nil {
					t.Errorf("%d lists in %T cannot be read: %v", n, tt.message(v), readErr)
				}
			}
		}
	}
}

// A client's bytes that are passed on as they are must not end the connections of those
// who get them.
func TestARawValueIsSafeToSend(t *testing.T) {
	bad := protocol.Raw("[\"\xff\"]")
	var got protocol.Raw
	if err := (protocol.JSON{}).Unmarshal(bad, &got); err == nil {
		t.Errorf("Unmarshal(%q) into a Raw has no error", bad)
	}
	for _, value := range []any{bad, []any{bad}, map[string]protocol.Raw{"a": bad}} {
		if text, err := (protocol.JSON{}).AppendValue(nil, value); err == nil {
			t.Errorf("AppendValue(%q) = %q, want an error", value, text)
		}
	}
	if text, err := (protocol.JSON{}).Append(nil, &protocol.Completion{InvocationID: "1", Kind: protocol.ResultValue, RawResult: bad}); err == nil {
		t.Errorf("Append of a raw result that is not UTF-8 = %q, want an error", text)
	}
	const blanks = "{\r\n\"a\" :\t[1,\r2]}"
	if text, err := (protocol.JSON{}).AppendValue([]byte("\r"), protocol.Raw(blanks)); err != nil || string(text) != "\r{ \n\"a\" :\t[1, 2]}" {
		t.Errorf("AppendValue(%q) = %q, error %v, want it without carriage returns", blanks, text, err)
	}
}
