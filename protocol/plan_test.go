package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
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

func TestPlansHaveTheMembersOfEncodingJSON(t *testing.T) {
	for _, v := range []any{shapeA{}, shapeB{}, shapeC{shapeB: &shapeB{}}, shapeD{shapeB: shapeB{Z: 1}}, shapeE{hidden: 1}} {
		ms := planOf(reflect.TypeOf(v)).json.members
		for _, name := range membersOf(t, v) {
			if m, _ := ms.findFolded([]byte(name), 0); m == nil || m.name != name {
				t.Errorf("plan of %T has no member %q", v, name)
			}
		}
	}
	for _, name := range []string{"-x", "hidden", "Not", "Number"} {
		if m, _ := planOf(reflect.TypeFor[shapeE]()).json.members.findFolded([]byte(name), 0); m != nil {
			t.Errorf("plan of a shapeE has a member %q", name)
		}
	}
}

// Whatever member the last one was, the same one is found next.
func TestMembersAreFoundInAnyOrderAndCase(t *testing.T) {
	type folding struct {
		Kind, Set, A int
		Ärger        int `json:"ärger"`
		B            int `json:"a"` // by its exact name; A is A's in any case
	}
	ms := planOf(reflect.TypeFor[folding]()).json.members
	for name, want := range map[string]string{
		"Kind": "Kind", "KIND": "Kind", "\u212aind": "Kind", "set": "Set", "\u017fet": "Set", "A": "A", "a": "a", "ÄRGER": "ärger", "ärger": "ärger",
		"": "", "Kin": "", "Kinds": "", "ar": "",
	} {
		for next := range len(ms.list) + 2 {
			got := ""
			if m, i := ms.findFolded([]byte(name), next); m != nil && m == &ms.list[i] {
				got = m.name
			}
			if got != want {
				t.Errorf("%q after member %d is %q, want %q", name, next, got, want)
			}
		}
	}
}

// Types refer to themselves and to each other, and are met by many goroutines at
// once.
func TestPlansOfTypesThatReferToEachOtherAreComplete(t *testing.T) {
	type tree struct {
		Children []*tree
		ByName   map[string]tree
	}
	type forest struct{ Trees [2]*tree }
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			p := planOf(reflect.TypeFor[*forest]())
			inner := p.elem.json.members.list[0].plan.elem.elem
			if inner != planOf(reflect.TypeFor[tree]()) || inner.json.members.list[0].plan.elem.elem != inner || inner.pack.members.list[1].plan.elem != inner {
				t.Error("the plan of a tree is not the one that it refers to")
			}
		})
	}
	wait.Wait()
}

func TestPlansTakeOddTagsAsEncodingJSONDoes(t *testing.T) {
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

// asOther makes a map of a type of its own, which has no filler, out of m.
func asOther[V any](m map[string]V) [2]any {
	type other map[string]V
	return [2]any{m, other(m)}
}

func TestMapsThatComeOftenAreEncodedAsOthers(t *testing.T) {
	for range 20 { // memory is used again, for fewer entries and for more
		for _, n := range []int{300, 0, 3, 20, 1} {
			texts, bools, ints, int32s, int64s, floats := map[string]string{}, map[string]bool{}, map[string]int{}, map[string]int32{}, map[string]int64{}, map[string]float64{}
			for i := range n {
				key := fmt.Sprint("key <é> ", i*7919%n)
				texts[key], bools[key], ints[key], int32s[key], int64s[key], floats[key] = key, i%2 == 0, -i, int32(i)<<20, int64(i)<<40, float64(i)/3
			}
			for _, pair := range [][2]any{asOther(texts), asOther(bools), asOther(ints), asOther(int32s), asOther(int64s), asOther(floats)} {
				for name, codec := range map[string]Codec{"json": JSON{}, "messagepack": MessagePack{}} {
					for _, wrap := range []func(any) any{func(x any) any { return x }, func(x any) any { return []any{x, x} }} {
						got, err := codec.AppendValue(nil, wrap(pair[0]))
						want, wantErr := codec.AppendValue(nil, wrap(pair[1]))
						if err != nil || wantErr != nil || !bytes.Equal(got, want) {
							t.Fatalf("%s: %T of %d is %q, error %v, another %q, error %v", name, pair[0], n, got, err, want, wantErr)
						}
					}
					raw, _ := codec.AppendValue(nil, pair[1])
					back := reflect.New(reflect.TypeOf(pair[0]))
					if err := codec.Unmarshal(raw, back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), pair[0]) {
						t.Fatalf("%s: %T of %d is read as %v, error %v", name, pair[0], n, back.Elem(), err)
					}
					if err := codec.Unmarshal(raw, back.Interface()); err != nil || back.Elem().Len() != n {
						t.Fatalf("%s: %T of %d is read again as %v, error %v", name, pair[0], n, back.Elem(), err)
					}
				}
			}
		}
	}
}
