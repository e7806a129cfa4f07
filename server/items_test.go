package server_test

import (
	"encoding/json"
	"iter"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/internal/race"
	"github.com/hubwire/hubwire/server"
)

type (
	itemChannel[T any]  <-chan T
	itemSequence[T any] func(yield func(T, error) bool)
)

// An itemHub streams items of one type back, in every shape that a stream has.
type itemHub[T any] struct{}

func (itemHub[T]) Channels(items <-chan T) <-chan T                               { return items }
func (itemHub[T]) Sequences(items iter.Seq2[T, error]) iter.Seq2[T, error]        { return items }
func (itemHub[T]) NamedChannels(items itemChannel[T]) itemChannel[T]              { return items }
func (itemHub[T]) NamedSequences(items itemSequence[T]) func(func(T, error) bool) { return items }

func (itemHub[T]) OneByOne(items <-chan T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for item := range items {
			if !yield(item) {
				return
			}
		}
	}
}

type (
	itemText  string
	itemFlag  bool
	itemPoint struct {
		X, Y float64
		Name *string
	}
)

// An itemKeeper keeps the variables that its values were decoded into, as no type
// should.
type itemKeeper struct{ Text string }

var keptItems struct {
	sync.Mutex
	all []*itemKeeper
}

func (k *itemKeeper) UnmarshalJSON(text []byte) error {
	keptItems.Lock()
	defer keptItems.Unlock()
	keptItems.all = append(keptItems.all, k)
	return json.Unmarshal(text, &k.Text)
}

func (k itemKeeper) MarshalJSON() ([]byte, error) { return json.Marshal(k.Text) }

// echoItems streams the values up and down, with an error at the end of another one.
func echoItems[T any](t *testing.T, m mode, values ...T) {
	c := m.connect(m.node(t, itemHub[T]{}, nil))
	values = slices.Concat(values, values, values, values) // more than fit into an upload
	for _, method := range []string{"Channels", "Sequences", "NamedChannels", "NamedSequences", "OneByOne"} {
		got := hubtest.List[T](c, method, slices.Values(values))
		if !reflect.DeepEqual(got, values) {
			t.Errorf("%T: %s gives back %v, want %v", values, method, got, values)
		}
		s := c.Stream(method, iter.Seq2[T, error](func(yield func(T, error) bool) {
			if yield(values[0], nil) {
				yield(values[0], server.NewHubError("lost it"))
			}
		}))
		n := 0
		for item := *new(T); s.Next(&item); n++ {
		}
		want := ""
		if strings.Contains(method, "Seq") {
			want = "An error occurred on the server while streaming results. HubException: lost it"
		}
		if n != 1 || (want == "") != (s.Err() == nil) || want != "" && !strings.Contains(s.Err().Error(), want) {
			t.Errorf("%T: %s ends after %d items with %v, want %q", values, method, n, s.Err(), want)
		}
	}
}

func TestItemsOfEveryTypeAreStreamed(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		echoItems(t, m, "a", "", "grüße")
		echoItems(t, m, true, false, true)
		echoItems(t, m, 1, 0, -5)
		echoItems[int32](t, m, 1, 0, -5)
		echoItems[int64](t, m, 1, 0, -1<<60)
		echoItems[float32](t, m, 0.5, 0, -2.5)
		echoItems(t, m, 0.1, 0, -2e30)
		echoItems(t, m, []byte("abc"), []byte{}, []byte{0})
		echoItems[any](t, m, "a", nil, true)
		echoItems[itemText](t, m, "a", "", "b")
		echoItems[itemFlag](t, m, true, false, true)
		echoItems[uint16](t, m, 1, 0, 65535)
		echoItems(t, m, itemPoint{1, 2, new("p")}, itemPoint{}, itemPoint{3, 4, nil})
		echoItems(t, m, []int{1}, []int{}, nil)
		echoItems(t, m, map[string]int{"a": 1}, nil, map[string]int{})
		echoItems(t, m, new(5), nil, new(6))
		echoItems(t, m, itemKeeper{"a"}, itemKeeper{}, itemKeeper{"b"})
	})
	keptItems.Lock()
	defer keptItems.Unlock()
	seen := map[*itemKeeper]bool{}
	for _, k := range keptItems.all {
		seen[k] = true
	}
	if len(seen) < len(keptItems.all) || len(seen) == 0 {
		t.Errorf("%d items that decode themselves share %d variables", len(keptItems.all), len(seen))
	}
}

// streamer sends streams of items to Sequences of hub, and returns how often was
// written for each.
func streamer(tb testing.TB, hub *server.Hub, item string, items int) (stream func(), writes *atomic.Int64) {
	var records atomic.Int64
	reached := make(chan struct{}, 1)
	c := openMemory(tb, hub, "json", 1, &records, reached)[0]
	c.wanted = int64(items) + 1
	var frames []byte
	add := func(record string) {
		frames = append(frames, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(record+"\x1e"))))...)
	}
	// The length of no answer is 0x1e, which ends a record.
	add(`{"type":4,"invocationId":"17","target":"Sequences","arguments":[],"streamIds":["2"]}`)
	for range items {
		add(`{"type":2,"invocationId":"2","item":` + item + `}`)
	}
	add(`{"type":3,"invocationId":"2"}`)
	batch := make([]byte, len(frames))
	return func() {
		records.Store(0)
		copy(batch, frames) // the last one was unmasked where it is
		c.in <- batch
		<-reached
	}, &c.writes
}

// What a method answers to items that it takes as they come is not written anew for
// each few of them. One processor makes it certain who runs when.
func TestAStreamThatFlowsIsWrittenInLargePieces(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const items = 1000
	stream, writes := streamer(t, newHub(itemHub[string]{}, nil), `"a text of some length"`, items)
	stream()
	writes.Store(0)
	for range 10 {
		stream()
	}
	if n := writes.Load(); n > 10*items/50 { // an upload holds 10
		t.Errorf("%d items were written in %d pieces", 10*items, n)
	}
}

// A streamCase is a stream of one kind of items. Items of type string have a way of
// their own, structs go by reflection.
type streamCase struct {
	name, item  string
	hub         *server.Hub
	allocations float64 // of an item, up and down
}

func streamCases() []streamCase {
	return []streamCase{
		{"string", `"a text of some length"`, newHub(itemHub[string]{}, nil), 3},
		{"named string", `"a text of some length"`, newHub(itemHub[itemText]{}, nil), 9},
		{"struct", `{"X":1,"Y":2}`, newHub(itemHub[itemPoint]{}, nil), 8},
	}
}

func TestAnItemOfAStreamAllocatesNoMoreThanItDid(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates, too")
	}
	const items = 1000
	for _, test := range streamCases() {
		stream, _ := streamer(t, test.hub, test.item, items)
		if got := testing.AllocsPerRun(10, stream) / items; got > test.allocations {
			t.Errorf("%s: an item allocates %.2f times, want at most %v", test.name, got, test.allocations)
		}
	}
}

// BenchmarkStreams measures streams up and down; a figure is for an item. Without
// letsOthers writes/item is about 0.08.
func BenchmarkStreams(b *testing.B) {
	const items = 1000
	for _, test := range streamCases() {
		b.Run(test.name, func(b *testing.B) {
			stream, writes := streamer(b, test.hub, test.item, items)
			var before, after runtime.MemStats
			stream()
			writes.Store(0)
			runtime.ReadMemStats(&before)
			for b.Loop() {
				stream()
			}
			runtime.ReadMemStats(&after)
			all := float64(b.N) * items
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/all, "ns/item")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/all, "allocs/item")
			b.ReportMetric(float64(writes.Load())/all, "writes/item")
		})
	}
}
