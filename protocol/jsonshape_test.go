package protocol

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"
)

type (
	shapeA struct {
		X int
		Y int `json:"y"`
	}
	shapeB struct {
		X int
		Z float64
	}
	shapeC struct {
		shapeA
		*shapeB
		Own int
	}
	shapeD struct {
		shapeA `json:"a"`
		shapeB `json:",omitempty"`
		Y      int `json:"X"`
	}
	shapeE struct {
		Number int `json:"n"`
		N      int `json:"N"`
		Not    int `json:"-"`
		hidden int
	}
)

// membersOf are the names that encoding/json writes for v.
func membersOf(t *testing.T, v any) []string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestShapesHaveTheMembersOfEncodingJSON(t *testing.T) {
	for _, v := range []any{shapeA{}, shapeB{}, shapeC{shapeB: &shapeB{}}, shapeD{shapeB: shapeB{Z: 1}}, shapeE{hidden: 1}} {
		shape := jsonShapeOf(reflect.TypeOf(v))
		for _, name := range membersOf(t, v) {
			if shape.member([]byte(name), true) == nil {
				t.Errorf("shape of %T has no member %q", v, name)
			}
		}
	}
	for _, tt := range []struct {
		v    any
		name string
	}{{shapeE{}, "-x"}, {shapeE{}, "hidden"}, {shapeE{}, "Not"}, {shapeE{}, "Number"}} {
		if jsonShapeOf(reflect.TypeOf(tt.v)).member([]byte(tt.name), true) != nil {
			t.Errorf("shape of %T has a member %q", tt.v, tt.name)
		}
	}
}

func TestShapesTakeOddTagsAsEncodingJSONDoes(t *testing.T) {
	for tag, name := range map[string]string{`json:"a\"b"`: "Field", `json:"a'b"`: "Field", `json:"-,"`: "-", `json:"<&>"`: "<&>", `json:",omitempty"`: "Field", `json:""`: "Field"} {
		odd := reflect.StructOf([]reflect.StructField{{Name: "Field", Type: reflect.TypeFor[float64](), Tag: reflect.StructTag(tag)}})
		v := reflect.New(odd).Elem()
		v.Field(0).SetFloat(1e20)
		if names := membersOf(t, v.Interface()); len(names) != 1 || names[0] != name {
			t.Fatalf("encoding/json names the field with %s %q, want %q", tag, names, name)
		}
		if got, err := (JSON{}).AppendValue(nil, v.Interface()); err != nil || string(got) != `{"`+name+`":1E+20}` {
			t.Errorf("AppendValue of a field with %s = %s, error %v", tag, got, err)
		}
	}
}

func TestShapesSayWhatNeedsALook(t *testing.T) {
	type node struct {
		Next *node
		At   *time.Time
	}
	for _, tt := range []struct {
		v    any
		look bool
	}{
		{shapeA{}, false}, {shapeB{}, false}, {node{}, true}, {[]byte{}, true}, {map[string][]float32{}, false}, {json.RawMessage{}, false},
		{[]any{}, false}, {time.Time{}, true}, {Decimal{}, false}, {[3]byte{}, false}, {[][]byte{}, true},
	} {
		if shape := jsonShapeOf(reflect.TypeOf(tt.v)); shape.look != tt.look {
			t.Errorf("shape of %T: look %v, want %v", tt.v, shape.look, tt.look)
		}
	}
}

func TestNamesFoldAsInEncodingJSON(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{{"kind", "KIND", true}, {"Kind", "\u212aind", true}, {"set", "\u017fET", true}, {"straße", "STRASSE", false}, {"Ärger", "äRGER", true}, {"a_b", "a-b", false}, {"σ", "ς", true}} {
		if same := foldName(tt.a) == foldName(tt.b); same != tt.same {
			t.Errorf("%q and %q fold to %q and %q", tt.a, tt.b, foldName(tt.a), foldName(tt.b))
		}
	}
}
