package protocol_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/race"
	"github.com/hubwire/hubwire/protocol"
	"github.com/vmihailenco/msgpack/v5"
)

// What applications send: each payload as its own type, for protocol, encoding/json
// and vmihailenco/msgpack alike.

type person struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Online bool      `json:"online"`
	Since  time.Time `json:"since"`
	Device *string   `json:"device"`
}

type chatMessage struct {
	ID       int64     `json:"id"`
	Room     string    `json:"room"`
	Author   person    `json:"author"`
	Text     string    `json:"text"`
	SentAt   time.Time `json:"sentAt"`
	Mentions []string  `json:"mentions"`
}

type priceTick struct {
	Symbol string    `json:"symbol"`
	Bid    float64   `json:"bid"`
	Ask    float64   `json:"ask"`
	Volume int64     `json:"volume"`
	At     time.Time `json:"at"`
}

type position struct {
	Lat   float64 `json:"lat"`
	Lng   float64 `json:"lng"`
	Speed float32 `json:"speed"`
}

type track struct {
	Vehicle string     `json:"vehicle"`
	Points  []position `json:"points"`
}

type post struct {
	ID    int64    `json:"id"`
	Title string   `json:"title"`
	Body  string   `json:"body"`
	Tags  []string `json:"tags"`
	Likes int32    `json:"likes"`
}

func persons(n int) []person {
	list := make([]person, n)
	for i := range list {
		list[i] = person{ID: fmt.Sprintf("user-%04d", i), Name: fmt.Sprint("Jörg Müller ", i), Online: i%3 == 0, Since: noon.Add(time.Duration(i) * time.Second)}
		if i%2 == 0 {
			list[i].Device = new("Firefox on Linux")
		}
	}
	return list
}

func ticks(n int) []priceTick {
	list := make([]priceTick, n)
	for i := range list {
		list[i] = priceTick{Symbol: fmt.Sprint("SYM", i), Bid: 101.25 + float64(i)/8, Ask: 101.375 + float64(i)/8, Volume: int64(i) * 1500, At: noon.Add(time.Duration(i) * 1700 * time.Microsecond)}
	}
	return list
}

func tour(n int) track {
	t := track{Vehicle: "B-HW 1042"}
	for i := range n {
		t.Points = append(t.Points, position{52.520008 + float64(i)*1e-5, 13.404954 - float64(i)*1e-5, 12.5 + float32(i%30)})
	}
	return t
}

func readings(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = 20 + float64(i*7%100)/100
	}
	return list
}

func gauges(n int) map[string]float64 {
	m := make(map[string]float64, n)
	for i := range n {
		m[fmt.Sprint("host-", i, ".cpu")] = float64(i*37%1000) / 10
	}
	return m
}

// A payload is a value with what a benchmark or test does with it, whatever its type is.
type payload struct {
	name     string
	value    any // a pointer
	newValue func() any
}

func payloadOf[T any](name string, value T) payload {
	return payload{name, &value, func() any { return new(T) }}
}

func payloads() []payload {
	return []payload{
		payloadOf("chat message", chatMessage{4711, "general", persons(1)[0], "Grüße aus Köln! Shall we meet at “Zur Post” at eight, or is that too late for you? I can be there from seven on.", noon, []string{"user-0001", "user-0002"}}),
		payloadOf("order of 12 members", orders(1)[0]),
		payloadOf("page of 100 orders", orders(100)),
		payloadOf("50 price ticks", ticks(50)),
		payloadOf("200 sensor readings", readings(200)),
		payloadOf("map of 20 gauges", gauges(20)),
		payloadOf("presence of 100 users", persons(100)),
		payloadOf("document without a type", nestedAny(5)),
		payloadOf("track of 100 positions", tour(100)),
		payloadOf("blog post of 6 KB", post{42, "One Redis, two nodes", strings.Repeat("What one node sends reaches *all* clients: \"hello\", said the Go node.\n", 60) + strings.Repeat("見出し、本文。Übermäßig. ", 50), []string{"go", "signalr", "redis"}, 1234}),
	}
}

// BenchmarkPayloads compares with the libraries that Go programs use otherwise.
func BenchmarkPayloads(b *testing.B) {
	type library struct {
		name      string
		marshal   func(dst []byte, v any) ([]byte, error)
		unmarshal func(data []byte, v any) error
	}
	libraries := []library{
		{"json", protocol.JSON{}.AppendValue, func(data []byte, v any) error { return protocol.JSON{}.Unmarshal(data, v) }},
		{"encoding_json", func(_ []byte, v any) ([]byte, error) { return json.Marshal(v) }, json.Unmarshal},
		{"messagepack", protocol.MessagePack{}.AppendValue, func(data []byte, v any) error { return protocol.MessagePack{}.Unmarshal(data, v) }},
		{"vmihailenco", func(_ []byte, v any) ([]byte, error) { return msgpack.Marshal(v) }, msgpack.Unmarshal},
	}
	for _, p := range payloads() {
		for _, l := range libraries {
			text, err := l.marshal(nil, p.value)
			if err != nil {
				b.Fatal(err)
			}
			name := strings.ReplaceAll(p.name, " ", "_")
			b.Run(name+"/encode/"+l.name, func(b *testing.B) {
				b.ReportAllocs()
				dst := make([]byte, 0, 2*len(text))
				for b.Loop() {
					if _, err := l.marshal(dst, p.value); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(name+"/decode/"+l.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := l.unmarshal(text, p.newValue()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// objects is how many objects of the heap v consists of, without its own. A map has
// besides what Go gives it a variable for its keys, and one for its values. Where the
// length of a list is not known its memory grows fourfold, since a peer's short elements
// may be long ones here; steps says so.
func objects(v reflect.Value, steps bool) (n float64) {
	switch v.Kind() {
	case reflect.String:
		return float64(min(v.Len(), 1))
	case reflect.Pointer:
		if v.IsNil() {
			return 0
		}
		return 1 + objects(v.Elem(), steps)
	case reflect.Interface:
		if v.IsNil() || v.Elem().Kind() == reflect.Bool { // Go has both of them already
			return 0
		}
		if v.Elem().Kind() == reflect.Map { // it is a pointer
			return objects(v.Elem(), steps)
		}
		return 1 + objects(v.Elem(), steps)
	case reflect.Slice:
		for i := range v.Len() {
			n += objects(v.Index(i), steps)
		}
		if kind := v.Type().Elem().Kind(); steps && (kind < reflect.Bool || kind > reflect.Float64) {
			for have := 4; have < v.Len(); have *= 4 {
				n++
			}
		}
		return n + float64(min(v.Len(), 1))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return 0
		}
		for i := range v.NumField() {
			n += objects(v.Field(i), steps)
		}
		return n
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			n += objects(entries.Key(), steps) + objects(entries.Value(), steps)
		}
		return n + 2 + testing.AllocsPerRun(10, func() {
			m := reflect.MakeMap(v.Type())
			for entries := v.MapRange(); entries.Next(); {
				m.SetMapIndex(entries.Key(), entries.Value())
			}
		})
	}
	return 0
}

// To encode a payload allocates nothing, and to decode it what it consists of.
func TestPayloadsAllocateNoMoreThanTheyConsistOf(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates, too")
	}
	for _, p := range payloads() {
		for name, codec := range codecs {
			text, err := codec.AppendValue(nil, p.value)
			if err != nil {
				t.Fatal(err)
			}
			dst := make([]byte, 0, 2*len(text))
			encode := testing.AllocsPerRun(20, func() {
				if _, err := codec.AppendValue(dst, p.value); err != nil {
					t.Error(err)
				}
			})
			decode := testing.AllocsPerRun(20, func() {
				if err := codec.Unmarshal(text, p.newValue()); err != nil {
					t.Error(err)
				}
			})
			back := p.newValue()
			if err := codec.Unmarshal(text, back); err != nil {
				t.Fatal(err)
			}
			// What was decoded counts: a map[string]any of MessagePack has integers where JSON has floats.
			consistsOf := 1 + objects(reflect.ValueOf(back).Elem(), !codec.Binary())
			if encode > 0 || decode > consistsOf {
				t.Errorf("%s, %s: encoding allocates %v times, decoding %v; it consists of %v objects", name, p.name, encode, decode, consistsOf)
			}
		}
	}
}

// The benchmark compares like with like: what encoding/json reads of our text is the
// payload, and so it is for MessagePack.
func TestPayloadsAreTheSameForAllLibraries(t *testing.T) {
	for _, p := range payloads() {
		text, err := protocol.JSON{}.AppendValue(nil, p.value)
		if err != nil {
			t.Fatal(err)
		}
		theirs := p.newValue()
		if err := json.Unmarshal(text, theirs); err != nil || !reflect.DeepEqual(theirs, p.value) {
			t.Errorf("%s: encoding/json reads %v, %v", p.name, theirs, err)
		}
		for name, codec := range codecs {
			text, err := codec.AppendValue(nil, p.value)
			if err != nil {
				t.Fatal(err)
			}
			ours := p.newValue()
			if err := codec.Unmarshal(text, ours); err != nil || !reflect.DeepEqual(ours, p.value) {
				t.Errorf("%s, %s: read again it is %v, %v", name, p.name, ours, err)
			}
		}
	}
}
