package server

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"testing/quick"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

type plainMessage struct {
	ID    int
	Text  string
	Tags  map[string][]string
	Reply *struct{ To []uint16 }
}

type linked struct{ Next *linked }

type withText struct{}

func (*withText) MarshalText() ([]byte, error) { return nil, nil }

func TestWhatIsSureIsEncodedByEveryProtocol(t *testing.T) {
	for _, v := range []any{nil, "a\xff", 1, int8(1), uint64(math.MaxUint64), true, 1.5, []byte{1}, []string{"a"}, [2]int{}, map[string]int{"a\xfe": 1}, plainMessage{ID: 1}, &plainMessage{}, []plainMessage{{}}} {
		if !sure(v) {
			t.Errorf("%T is not sure: each send of it is encoded once more than needed", v)
		}
	}
	for _, v := range []any{math.NaN(), math.Inf(1), 1 + 1i, []any{1}, []float64{1}, time.Time{}, json.RawMessage("1"), &linked{}, withText{}, struct{ A *withText }{}, map[int]string{}, func() {}, make(chan int), struct{ A error }{}} {
		if sure(v) {
			t.Errorf("%T is taken for sure", v)
		}
	}
	encode := func(v any) bool {
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			if _, err := codec.AppendValue(nil, v); err != nil {
				t.Errorf("%#v is sure, but %s: %v", v, codec.Name(), err)
				return false
			}
		}
		return true
	}
	for _, f := range []any{
		func(v plainMessage) bool { return encode(v) },
		func(v string) bool { return encode(v) },
		func(v map[string][]*[2]uint8) bool { return encode(v) },
	} {
		if err := quick.Check(f, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestASendOfSureValuesIsEncodedOnlyForThoseWhoListen(t *testing.T) {
	m := newHubManager(NewLifetimeManager(), []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}})
	encoded := func(v any) (names []string) {
		msg := NewMessage(&protocol.Invocation{Target: "M", Arguments: []any{v}})
		if err := m.ready(msg); err != nil {
			t.Fatal(err)
		}
		if err := m.own.Send(t.Context(), Audience{}, msg); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"json", "messagepack"} {
			if msg.find(name) != nil {
				names = append(names, name)
			}
		}
		return names
	}
	if got := encoded("text"); got != nil {
		t.Errorf("a string for nobody was encoded as %v", got)
	}
	if got := encoded([]any{1}); !reflect.DeepEqual(got, []string{"json", "messagepack"}) {
		t.Errorf("a value that may fail was encoded as %v", got)
	}
}
