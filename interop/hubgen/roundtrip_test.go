package hubgen

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// Types is a hub that has every type in every direction.
type Types struct{}

// Sample returns one value of each type.
func (Types) Sample() Everything { return sample() }

// Check says how value differs from the sample, if it does.
func (Types) Check(value Everything) (string, error) {
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
	want, err := json.Marshal(sample())
	if err != nil || string(got) == string(want) {
		return "", err
	}
	return string(got) + "\n   want " + string(want), nil
}

// Stream sends two samples.
func (Types) Stream() iter.Seq[Everything] {
	return slices.Values([]Everything{sample(), sample()})
}

// Upload counts the values that are the sample.
func (h Types) Upload(values <-chan Everything) (n int32, err error) {
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
func (h Types) Ask(call *server.Call) (string, error) {
	if err := told.Send(call.Context(), call.Clients().Caller(), sample()); err != nil {
		return "", err
	}
	value, err := asked.Invoke(call.Context(), call.Clients().Client(call.ConnectionID()), sample(), Color(1), nil)
	if err != nil {
		return "", err
	}
	return h.Check(value)
}

var (
	told  = server.ClientMethod1[Everything]("Told")
	asked = server.ClientFunction3[Everything, Color, *protocol.Guid, Everything]("Asked")
)

func TestEveryTypeOfAGeneratedClientGoesBothWaysInBothProtocols(t *testing.T) {
	harness.Dotnet(t)
	dir := t.TempDir()
	copyFiles(t, dir, "roundtrip/Program.cs", "csharp/check.csproj")
	f, err := os.Create(filepath.Join(dir, "Types.cs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := hubgen.CSharp(f, Types{}, nil, told, asked); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	hub := server.MustHub(Types{}, &server.Options{
		Logger: slog.New(slog.DiscardHandler), EnableDetailedErrors: true, MaximumParallelInvocationsPerClient: 2,
	})
	mux := http.NewServeMux()
	server.Mount(mux, "/types", hub)
	s := httptest.NewServer(mux)
	defer s.Close()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	out, err := harness.Run(t, exec.Command("dotnet", harness.DotnetProgram(t, dir), s.URL+"/types"), limit)
	if err != nil || strings.TrimSpace(string(out)) != "ok json\nok messagepack" {
		t.Errorf("the program ended with %v and printed\n%s", err, out)
	}
}
