package protocol_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/vmihailenco/msgpack/v5"
)

// sameInTwoPasses decodes text into what is nil, and into what is not, where what is not
// JSON is found before anything is decoded: both must say the same.
func sameInTwoPasses(t *testing.T, text []byte) {
	t.Helper()
	var x any
	err := protocol.JSON{}.Unmarshal(text, &x)
	var want any = "was there"
	wantErr := protocol.JSON{}.Unmarshal(text, &want)
	if wantErr != nil {
		want = nil
	}
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(x, want) {
		t.Fatalf("%q is %v, error %v; in two passes %v, error %v", text, x, err, want, wantErr)
	}
	dict, list := map[string]any(nil), []any(nil)
	wantDict, isDict := want.(map[string]any)
	wantList, isList := want.([]any)
	if err := (protocol.JSON{}).Unmarshal(text, &dict); (err == nil) != (wantErr == nil && (isDict || want == nil)) || !reflect.DeepEqual(dict, wantDict) {
		t.Fatalf("%q is the map %v, error %v; in two passes %v, error %v", text, dict, err, want, wantErr)
	}
	if err := (protocol.JSON{}).Unmarshal(text, &list); (err == nil) != (wantErr == nil && (isList || want == nil)) || !reflect.DeepEqual(list, wantList) {
		t.Fatalf("%q is the list %v, error %v; in two passes %v, error %v", text, list, err, want, wantErr)
	}
}

// documents are JSON values, and what is nearly one.
func documents() []string {
	list := []string{
		`{}`, `[]`, `null`, `true`, `"a"`, `-0.5e3`, ` [ 1 , { "a" : [ ] , "b" : { } } ] `, `{"a":1,"a":2}`,
		`["é","\u00e9","\n","\ud83d\ude00","` + strings.Repeat("long ", 20) + `"]`, `{"\u0061":"A"}`,
		`[1,2,3,4,5,6,7,8]`, `[1,2,3,4,5,6,7,8,9]`, `[` + strings.Repeat(`"x",`, 40) + `null]`,
		`[1,]`, `[,1]`, `[1 2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{1:2}`, `{"a" 1}`, `{"a":1 "b":2}`, `[}`, `{]`, `[1}`, `{"a":1]`,
		`01`, `1.`, `+1`, `.5`, `1e`, `-`, `tru`, `truex`, `nul`, `NaN`, `"`, `"\x"`, `"\u12"`, `"\ud800"`, "\"\x01\"", "\"\xff\"", `[`, `{`, `{"a":`, ``, ` `, `1 2`, `[] []`,
	}
	for _, depth := range []int{63, 64, 65} {
		list = append(list, strings.Repeat("[", depth)+strings.Repeat("]", depth), strings.Repeat(`{"a":`, depth)+"1"+strings.Repeat("}", depth))
	}
	for _, p := range payloads() {
		text, _ := protocol.JSON{}.AppendValue(nil, p.value)
		list = append(list, string(text[:min(len(text), 700)]), string(text))
	}
	return list
}

// bytesThatMatter are those that JSON's grammar tells apart.
const bytesThatMatter = "{}[],:\"\\ \t01-+.eEunltf\x00\x80\xff"

func TestADocumentIsTheSameInOnePassAndInTwo(t *testing.T) {
	for _, document := range documents() {
		sameInTwoPasses(t, []byte(document))
		for range min(25, 20*len(document)) { // a byte is left out, there twice, or another
			i, j := rand.IntN(len(document)), rand.IntN(len(bytesThatMatter))
			before, c, after := document[:i], document[i:i+1], document[i+1:]
			sameInTwoPasses(t, []byte(before+after))
			sameInTwoPasses(t, []byte(before+c+c+after))
			sameInTwoPasses(t, []byte(before+bytesThatMatter[j:j+1]+after))
		}
	}
}

func TestADocumentWithoutATypeMayBe64Deep(t *testing.T) {
	for _, c := range []struct{ open, inner, closed string }{{"[", "", "]"}, {`{"a":`, "1", "}"}} {
		for depth, fits := range map[int]bool{64: true, 65: false} {
			var x any
			err := protocol.JSON{}.Unmarshal([]byte(strings.Repeat(c.open, depth)+c.inner+strings.Repeat(c.closed, depth)), &x)
			if (err == nil) != fits || (x != nil) != fits {
				t.Errorf("%d times %s is %v, error %v", depth, c.open, x, err)
			}
		}
	}
}

// What an interface holds already is kept, as encoding/json keeps it.
func TestADocumentGoesWhereAnInterfacePoints(t *testing.T) {
	inner := 1
	var x any = &inner
	if err := (protocol.JSON{}).Unmarshal([]byte("2"), &x); err != nil || inner != 2 || x != any(&inner) {
		t.Errorf("%v, %v, error %v", inner, x, err)
	}
	dict := map[string]any{"kept": true}
	if err := (protocol.JSON{}).Unmarshal([]byte(`{"new":1}`), &dict); err != nil || len(dict) != 2 {
		t.Errorf("%v, error %v", dict, err)
	}
}

// Texts of all lengths, in whatever order and wherever they are, are what they were.
func TestTextsWithoutATypeAreWhatTheyWere(t *testing.T) {
	for range 300 {
		dict := map[string]any{}
		for range rand.IntN(40) {
			text := strings.Repeat("aé\n語"[:1+rand.IntN(4)%2*2], rand.IntN(20)) + fmt.Sprint(rand.IntN(1000))
			dict[fmt.Sprint(text, len(dict))] = []any{text, map[string]any{"inner": text, text: nil}}
		}
		text, err := json.Marshal(dict)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := msgpack.Marshal(dict)
		if err != nil {
			t.Fatal(err)
		}
		for name, raw := range map[string][]byte{"json": text, "messagepack": packed} {
			var x any
			if err := codecs[name].Unmarshal(raw, &x); err != nil {
				t.Fatal(err)
			}
			clear(raw) // the strings are no part of it
			if !reflect.DeepEqual(x, any(dict)) {
				t.Fatalf("%s: %v is read as %v", name, dict, x)
			}
		}
	}
}

func FuzzDocument(f *testing.F) {
	for _, document := range documents() {
		f.Add([]byte(document))
	}
	f.Fuzz(sameInTwoPasses)
}
