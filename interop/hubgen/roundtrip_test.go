package hubgen

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/hubgen"
)

// Color is an enum, one of whose names C# cannot spell.
type Color int32

func (Color) EnumNames() map[int64]string {
	return map[int64]string{0: "Red", 1: "dark blue", 2: "class"}
}

// Base is embedded.
type Base struct {
	Base64 string `json:"base64"`
}

// Everything has a member of every type that .NET has, too.
type Everything struct {
	Base
	ID       int32                   `json:"id" msgpack:"Id"`
	Name     string                  `json:"name"`
	At       time.Time               `json:"at"`
	MaybeAt  *time.Time              `json:"maybeAt"`
	Local    protocol.DateTime       `json:"local"`
	Offset   protocol.DateTimeOffset `json:"offset"`
	Key      protocol.Guid           `json:"key"`
	MaybeKey *protocol.Guid          `json:"maybeKey"`
	Price    protocol.Decimal        `json:"price"`
	Wait     protocol.TimeSpan       `json:"wait"`
	Day      protocol.DateOnly       `json:"day"`
	Clock    protocol.TimeOnly       `json:"clock"`
	Letter   protocol.Char           `json:"letter"`
	Color    Color                   `json:"color"`
	Colors   []Color                 `json:"colors"`
	Small    int8                    `json:"small"`
	Big      int64                   `json:"big"`
	Huge     uint64                  `json:"huge"`
	Half     float32                 `json:"half"`
	Whole    float64                 `json:"whole"`
	Yes      bool                    `json:"yes"`
	Data     []byte                  `json:"data"`
	Tags     []string                `json:"tags"`
	Counts   map[string]int32        `json:"counts"`
	ByNumber map[int32]string        `json:"byNumber"`
	Parent   *Everything             `json:"parent"`
	Odd      Odd                     `json:"odd"`
	None     *int32                  `json:"none"`
	Left     int32                   `json:"left,omitempty" msgpack:",omitempty"`
	LeftText string                  `json:"leftText,omitempty" msgpack:",omitempty"`
	LeftOdd  *Odd                    `json:"leftOdd,omitempty" msgpack:",omitempty"`
	Quoted   int64                   `json:"quoted,string"`
	Address  netip.Addr              `json:"address"`
	Secret   string                  `json:"-"`
}

// Odd has names that are none in C#.
type Odd struct {
	Spaced int32  `json:"with space" msgpack:"with space"`
	Class  string `json:"class" msgpack:"class"`
	Own    string `json:"own" msgpack:"Odd"`
}

func sample() Everything {
	key, _ := protocol.ParseGuid("00112233-4455-6677-8899-aabbccddeeff")
	price, _ := protocol.ParseDecimal("-12345678901234567890.50")
	at := time.Date(2026, 11, 26, 15, 30, 1, 123456700, time.UTC)
	e := Everything{
		Base: Base{"b"}, ID: 42, Name: "Zoë", At: at, MaybeAt: &at,
		Local: protocol.DateTime{Time: at, Kind: protocol.UTC}, Offset: protocol.DateTimeOffset{Time: at.In(time.FixedZone("", 5400))},
		Key: key, MaybeKey: &key, Price: price, Wait: protocol.NewTimeSpan(26*time.Hour + 3*time.Millisecond),
		Day: protocol.NewDateOnly(at), Clock: protocol.NewTimeOnly(at), Letter: 'ß', Color: 1, Colors: []Color{0, 1, 2, 9},
		Small: -128, Big: -1 << 63, Huge: 1<<64 - 1, Half: 0.5, Whole: 1e300, Yes: true, Data: []byte{0, 255},
		Tags: []string{"a", ""}, Counts: map[string]int32{"x": 1}, ByNumber: map[int32]string{-1: "y"},
		Odd: Odd{1, "c", "o"}, Quoted: 1 << 60, Address: netip.MustParseAddr("127.0.0.1"),
	}
	parent := e
	parent.Left, parent.LeftText, parent.LeftOdd = 5, "here", &Odd{2, "d", "p"}
	e.Parent = &parent
	return e
}

// scriptSample is sample with what JavaScript can have: times of whole
// milliseconds, numbers of 53 bits, no keys that are numbers.
func scriptSample() Everything {
	e := sample()
	at := time.Date(2026, 11, 26, 15, 30, 1, 123000000, time.UTC)
	for p := &e; p != nil; p = p.Parent {
		p.At, p.MaybeAt, p.Local.Time, p.Offset.Time, p.Clock = at, &at, at, at.In(time.FixedZone("", 5400)), protocol.NewTimeOnly(at)
		p.Price = protocol.NewDecimal(-125, 1)
		p.Big, p.Huge, p.Quoted = -1<<52, 1<<52, 1<<52
		p.ByNumber = map[int32]string{}
	}
	return e
}

// Types is a hub that has every type in every direction.
type Types struct {
	sample Everything
	ended  chan struct{} // by Endless
}

func newTypes(sample Everything) *Types {
	return &Types{sample, make(chan struct{}, 10)}
}

// Sample returns one value of each type.
func (h *Types) Sample() Everything { return h.sample }

// Check says how value differs from the sample, if it does.
func (h *Types) Check(value Everything) (string, error) {
	for e := &value; e != nil; e = e.Parent { // a moment has no zone of its own
		e.At = e.At.UTC()
		if e.MaybeAt != nil {
			utc := e.MaybeAt.UTC()
			e.MaybeAt = &utc
		}
	}
	got, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	want, err := json.Marshal(h.sample)
	if err != nil || string(got) == string(want) {
		return "", err
	}
	return string(got) + "\n   want " + string(want), nil
}

// Stream sends two samples.
func (h *Types) Stream() iter.Seq[Everything] {
	return slices.Values([]Everything{h.sample, h.sample})
}

// Upload counts the values that are the sample.
func (h *Types) Upload(values <-chan Everything) (n int32, err error) {
	for value := range values {
		difference, err := h.Check(value)
		if err != nil || difference != "" {
			return n, server.NewHubError("%s", difference)
		}
		n++
	}
	return n, nil
}

// Ask sends to the caller, and invokes it for a result.
func (h *Types) Ask(call *server.Call) (string, error) {
	if err := told.Send(call.Context(), call.Clients().Caller(), h.sample); err != nil {
		return "", err
	}
	value, err := asked.Invoke(call.Context(), call.Clients().Client(call.ConnectionID()), h.sample, Color(1), nil)
	if err != nil {
		return "", err
	}
	return h.Check(value)
}

// Endless counts until its client has heard enough.
func (h *Types) Endless() iter.Seq[int32] {
	return func(yield func(int32) bool) {
		defer func() { h.ended <- struct{}{} }()
		for n := int32(0); yield(n); n++ {
		}
	}
}

// EndlessHasEnded returns when Endless has.
func (h *Types) EndlessHasEnded(ctx context.Context) error {
	select {
	case <-h.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PassOn streams what is streamed to it.
func (*Types) PassOn(numbers <-chan int32) <-chan int32 { return numbers }

// Refuse takes no value.
func (*Types) Refuse(<-chan Everything) error { return server.NewHubError("Enough.") }

// End ends the connection, and asks the client not to come back.
func (*Types) End(call *server.Call) { call.Close("", false) }

// Join lets the caller into the group.
func (*Types) Join(call *server.Call) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), "group")
}

// TellGroup tells all in the group, which may be the caller.
func (h *Types) TellGroup(call *server.Call) error {
	return told.Send(call.Context(), call.Clients().Group("group"), h.sample)
}

// A Row is an array in MessagePack.
type Row struct {
	//lint:ignore U1000 read by reflection
	_msgpack struct{} `msgpack:",as_array"`
	Number   int32    `json:"number"`
	Text     string   `json:"text"`
}

// Turn returns a row with the next number.
func (*Types) Turn(row Row) Row { return Row{Number: row.Number + 1, Text: row.Text} }

var (
	told  = server.ClientMethod1[Everything]("Told")
	asked = server.ClientFunction3[Everything, Color, *protocol.Guid, Everything]("Asked")
)

// serve serves the hub at /types until the test ends, and returns the URL of its
// server. POST /drop cuts all WebSockets.
func serve(t *testing.T, value any) string {
	t.Helper()
	hub := server.MustHub(value, &server.Options{
		Logger: slog.New(slog.DiscardHandler), EnableDetailedErrors: true, MaximumParallelInvocationsPerClient: 2,
	})
	var mu sync.Mutex
	sockets := map[net.Conn]bool{}
	mux := http.NewServeMux()
	server.Mount(mux, "/types", hub)
	mux.HandleFunc("POST /drop", func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for socket := range sockets {
			_ = socket.Close() // one that is closed already is what was wanted
		}
		clear(sockets)
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ConnState = func(socket net.Conn, state http.ConnState) {
		if state == http.StateHijacked {
			mu.Lock()
			defer mu.Unlock()
			sockets[socket] = true
		}
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return s.URL
}

// write writes what hubgen makes of a hub.
func write(t *testing.T, file string, language func(io.Writer, any, *server.Options, ...any) error, hub any, extra ...any) {
	t.Helper()
	var text bytes.Buffer
	if err := language(&text, hub, nil, extra...); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEveryTypeOfAGeneratedClientGoesBothWaysInBothProtocols(t *testing.T) {
	harness.Dotnet(t)
	dir := t.TempDir()
	copyFiles(t, dir, "roundtrip/Program.cs", "csharp/check.csproj")
	write(t, filepath.Join(dir, "Types.cs"), hubgen.CSharp, &Types{}, hubgen.Namespace("Types.Client"), told, asked)
	program := harness.DotnetProgram(t, dir)
	harness.Prints(t, exec.Command("dotnet", program, serve(t, newTypes(sample()))), limit, "ok json\nok messagepack")
}
