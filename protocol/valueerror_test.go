package protocol_test

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

var errOwn = errors.New("own reason")

// unwilling cannot be encoded or decoded.
type unwilling struct{ N int }

func (unwilling) MarshalJSON() ([]byte, error)  { return nil, errOwn }
func (*unwilling) UnmarshalJSON(b []byte) error { return errOwn }

// unwritable has no text.
type unwritable struct{ N int }

func (unwritable) MarshalText() ([]byte, error)  { return nil, errOwn }
func (*unwritable) UnmarshalText(b []byte) error { return errOwn }

// goNames finds names that only Go programmers know.
var goNames = regexp.MustCompile(`json:|protocol_test|\b(struct|int8|chan|func|interface|MarshalJSON|MarshalText)\b|\*`)

func TestTheCauseOfAnErrorHasNoNamesOfGo(t *testing.T) {
	type holder struct {
		Inner []any `json:"inner"`
	}
	for name, codec := range codecs {
		for _, v := range []any{
			unwilling{}, &unwilling{}, unwritable{}, make(chan int), func() {}, []any{unwilling{}}, map[string]any{"a": []unwritable{{}}}, holder{[]any{holder{[]any{make(chan int8)}}}},
			map[*int]int{new(int): 1}, [][]unwilling{{{}}}, protocol.TimeOnly(-1), protocol.Raw("\xc1"),
		} {
			_, err := codec.AppendValue(nil, v)
			_, appendErr := codec.Append(nil, &protocol.Invocation{Target: "T", Arguments: []any{1, v}})
			for _, err := range []error{err, appendErr} {
				if v, isMap := v.(map[*int]int); isMap && err == nil && v != nil {
					continue // MessagePack takes any key
				}
				if err == nil || goNames.MatchString(protocol.Cause(err).Error()) || !strings.Contains(err.Error(), fmt.Sprintf("%T", v)) && err != appendErr {
					t.Errorf("%s: %T: error %v, cause %v", name, v, err, protocol.Cause(err))
				}
				if strings.Contains(fmt.Sprintf("%T", v), "unw") && (protocol.Cause(err) != errOwn || !errors.Is(err, errOwn)) { //nolint:errorlint // the very one
					t.Errorf("%s: %T: cause %v, want %v", name, v, protocol.Cause(err), errOwn)
				}
			}
		}
		text, _ := codec.AppendValue(nil, "text")
		object, _ := codec.AppendValue(nil, map[string]any{"N": "x", "inner": 1, "a": 300})
		for _, target := range []any{
			new(unwilling), new(unwritable), new(int8), new(bool), new(*int), new(float64), new([]int8), new(map[string]int8), new(holder), new(chan int), new(func()), new(map[string]chan int),
			new(struct{ N int8 }), new([]unwilling), new(map[string]unwritable), new([4]int8), new(protocol.Guid), new(interface{ F() }),
		} {
			for _, raw := range []protocol.Raw{text, object} {
				err := codec.Unmarshal(raw, target)
				if err != nil && (goNames.MatchString(protocol.Cause(err).Error()) || !strings.Contains(err.Error(), fmt.Sprintf("%T", target))) {
					t.Errorf("%s: %q into %T: error %v, cause %v", name, raw, target, err, protocol.Cause(err))
				}
			}
		}
		if err := codec.Unmarshal(text, new(unwritable)); protocol.Cause(err) != errOwn { //nolint:errorlint // the very one
			t.Errorf("%s: cause %v, want %v", name, protocol.Cause(err), errOwn)
		}
	}
	wrapped := fmt.Errorf("of somebody else: %w", &protocol.ValueError{Where: "here", Err: errOwn})
	if protocol.Cause(wrapped) != wrapped || protocol.Cause(nil) != nil { //nolint:errorlint // the very one
		t.Error("what is no ValueError is not its own cause")
	}
	if _, err := (protocol.JSON{}).AppendValue(nil, []any{math.NaN()}); protocol.Cause(err).Error() != "NaN has no form in JSON" {
		t.Errorf("NaN: %v", err)
	}
}

// Source: System.Text.Json, captures of values that hold themselves.
func TestTooDeepJSONIsTheErrorOfASPNET(t *testing.T) {
	list := make([]any, 1)
	list[0] = list
	_, err := protocol.JSON{}.Append(nil, &protocol.Completion{InvocationID: "1", Kind: protocol.ResultValue, Result: list})
	var e *protocol.Error
	if want := "A possible object cycle was detected. This can either be due to a cycle or if the object depth is larger than the maximum allowed depth of 64."; !errors.As(err, &e) || e.Type != "JsonException" || !strings.HasPrefix(protocol.Cause(err).Error(), want) {
		t.Errorf("error %v", err)
	}
}
