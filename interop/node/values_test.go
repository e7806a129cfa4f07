package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
)

// recorded are all texts of a recording of the reference node, in one.
func recorded(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "conformance", "recordings", name))
	if err != nil {
		t.Fatal(err)
	}
	var whole any
	if err := json.Unmarshal(data, &whole); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all.WriteString(v + "\n")
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(whole)
	return all.String()
}

func TestValuesAreTheBytesOfTheReferenceNode(t *testing.T) {
	said := recorded(t, "records.json") + recorded(t, "dialogues.json")
	for _, test := range []struct {
		name  string
		value any
	}{
		{"Sample", newSample()},
		{"empty Sample", &Sample{}},
		{"Rare", newRare()},
	} {
		t.Run(test.name, func(t *testing.T) {
			text, err := protocol.JSON{}.AppendValue(nil, test.value)
			if err != nil || !strings.Contains(said, string(text)) {
				t.Errorf("no message of the recordings has %s (error %v)", text, err)
			}
			packed, err := protocol.MessagePack{}.AppendValue(nil, test.value)
			if err != nil || !strings.Contains(said, hex.EncodeToString(packed)) {
				t.Errorf("no message of the recordings has %x (error %v)", packed, err)
			}
		})
	}
}

func TestValuesComeBackAsTheyWent(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		t.Run(codec.Name(), func(t *testing.T) {
			comesBack(t, codec, newSample(), &Sample{})
			rare := newRare()
			if !codec.Binary() {
				rare.ValueTuple = valueTuple{} // whose members JSON does not have
			}
			comesBack(t, codec, rare, &Rare{})
			comesBack(t, codec, dictionary(nil), &dictionary{{"old", "entry"}})
			comesBack(t, codec, dictionary{}, &dictionary{{"old", "entry"}})
		})
	}
}

// comesBack encodes value, decodes it into the pointer other, and expects that
// to encode to the same bytes.
func comesBack(t *testing.T, codec protocol.Codec, value, other any) {
	t.Helper()
	want, err := codec.AppendValue(nil, value)
	if err != nil {
		t.Fatal(err)
	}
	if err := codec.Unmarshal(want, other); err != nil {
		t.Fatalf("Unmarshal(%q): %v", want, err)
	}
	if got, err := codec.AppendValue(nil, other); err != nil || string(got) != string(want) {
		t.Errorf("%T\n got: %q, error %v\nwant: %q", value, got, err, want)
	}
}

func TestMissingMembersOfRareKeepTheirPreset(t *testing.T) {
	for codec, raw := range map[protocol.Codec]string{protocol.JSON{}: "{}", protocol.MessagePack{}: "\x80"} {
		var rare Rare
		if err := codec.Unmarshal(protocol.Raw(raw), &rare); err != nil {
			t.Fatal(err)
		}
		if rare.Field != 1 || rare.URLValue == nil || *rare.URLValue != "url" || rare.ID == nil || *rare.ID != "id" {
			t.Errorf("%s: %+v", codec.Name(), rare)
		}
	}
}

func TestDictionariesKeepTheirOrderAndTheirLastEntry(t *testing.T) {
	var d dictionary
	if err := json.Unmarshal([]byte(`{"b":"1","a":"2","b":"3"}`), &d); err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(d); err != nil || string(text) != `{"b":"3","a":"2"}` {
		t.Errorf("the dictionary is %s, error %v", text, err)
	}
	for _, bad := range []string{`[]`, `"x"`, `{"a":1}`} {
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("%s is a dictionary: %v", bad, d)
		}
	}
}

func TestUnserializableFailsWithTheWordsOfDotNet(t *testing.T) {
	for codec, want := range map[protocol.Codec]string{
		protocol.JSON{}:        "NotSupportedException: this getter fails The unsupported member type",
		protocol.MessagePack{}: "MessagePackSerializationException: Failed to serialize Interop.Unserializable value.",
	} {
		_, err := codec.AppendValue(nil, unserializable{})
		name, words, _ := strings.Cut(want, ": ")
		if got := describe(err); !strings.HasPrefix(got, name+": ") || !strings.Contains(got, words) {
			t.Errorf("%s: error %q, want %q", codec.Name(), got, want)
		}
	}
}
