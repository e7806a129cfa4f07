package hubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// arguments are those of one message, encoded.
type arguments struct {
	codec protocol.Codec
	raw   []protocol.Raw
}

// encoded are arguments that a test wants.
type encoded struct {
	arguments
	err error // one cannot be encoded
}

func encode(codec protocol.Codec, args []any) encoded {
	e := encoded{arguments: arguments{codec: codec}}
	for i, arg := range args {
		raw, err := codec.AppendValue(nil, arg)
		if err != nil {
			e.err = fmt.Errorf("argument %d cannot be encoded: %w", i+1, err)
		}
		e.raw = append(e.raw, raw)
	}
	return e
}

// scan decodes the arguments into pointers.
func (a arguments) scan(pointers []any) error {
	if len(a.raw) != len(pointers) {
		return fmt.Errorf("%d arguments, want %d", len(a.raw), len(pointers))
	}
	for i, raw := range a.raw {
		if err := a.codec.Unmarshal(raw, pointers[i]); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return nil
}

// values decodes the arguments.
func (a arguments) values() []any {
	all := make([]any, len(a.raw))
	for i, raw := range a.raw {
		all[i] = a.value(raw)
	}
	return all
}

// String shows the arguments in JSON, whatever their protocol.
func (a arguments) String() string {
	texts := make([]string, len(a.raw))
	for i, v := range a.values() {
		texts[i] = show(v)
	}
	return strings.Join(texts, ", ")
}

// value decodes raw into maps, slices and plain values.
func (a arguments) value(raw protocol.Raw) any {
	if _, isJSON := a.codec.(protocol.JSON); isJSON { // numbers keep their digits
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return err
		}
		return v
	}
	var v any
	if err := a.codec.Unmarshal(raw, &v); err != nil {
		return err
	}
	return v
}

// show is a value in JSON, or else in Go.
func show(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("%v", v)
	}
	return strings.TrimSpace(b.String())
}

// mostDifferences is how many are shown.
const mostDifferences = 10

// differences says where arguments differ, a line for each place. Empty means
// that they are the same.
func differences(got, want arguments) string {
	var all []string
	if len(got.raw) != len(want.raw) {
		all = append(all, fmt.Sprintf("%d arguments, want %d", len(got.raw), len(want.raw)))
	}
	for i := range min(len(got.raw), len(want.raw)) {
		if !bytes.Equal(got.raw[i], want.raw[i]) {
			all = compare(all, fmt.Sprintf("argument %d", i+1), got.value(got.raw[i]), want.value(want.raw[i]))
		}
	}
	if more := len(all) - mostDifferences; more > 0 {
		all = append(all[:mostDifferences], fmt.Sprintf("and %d more differences", more))
	}
	return strings.Join(all, "\n")
}

// absent is a member or element that is not there.
type absent struct{}

// compare appends the differences between two values at a path.
func compare(all []string, path string, got, want any) []string {
	gotMap, wantMap := members(got), members(want)
	gotList, isList := got.([]any)
	wantList, wantsList := want.([]any)
	switch {
	case gotMap != nil && wantMap != nil:
		names := map[string]bool{}
		for name := range gotMap {
			names[name] = true
		}
		for name := range wantMap {
			names[name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			all = compare(all, path+"."+name, at(gotMap, name), at(wantMap, name))
		}
		return all
	case isList && wantsList:
		for i := range max(len(gotList), len(wantList)) {
			all = compare(all, fmt.Sprintf("%s[%d]", path, i), element(gotList, i), element(wantList, i))
		}
		return all
	case same(got, want):
		return all
	}
	return append(all, fmt.Sprintf("%s: got %s, want %s", path, shown(got), shown(want)))
}

// members are those of an object, or nil.
func members(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case map[any]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[fmt.Sprint(key)] = value
		}
		return m
	}
	return nil
}

func at(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return absent{}
}

func element(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return absent{}
}

func shown(v any) string {
	if _, none := v.(absent); none {
		return "nothing"
	}
	return show(v)
}

// same compares plain values. A number is the same in every type that can hold
// it.
func same(got, want any) bool {
	if a, ok := got.(time.Time); ok {
		b, ok := want.(time.Time)
		return ok && a.Equal(b)
	}
	if a, b := number(got), number(want); a != "" || b != "" {
		return a == b
	}
	return reflect.DeepEqual(got, want)
}

// number is the text of a number, or empty.
func number(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case float32:
		return strconv.FormatFloat(float64(v), 'f', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	if r := reflect.ValueOf(v); r.IsValid() && (r.CanInt() || r.CanUint()) {
		return fmt.Sprint(v)
	}
	return ""
}
