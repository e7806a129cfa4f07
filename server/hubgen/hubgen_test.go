package hubgen_test

import (
	"bytes"
	"flag"
	"io"
	"iter"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/hubgen"
)

var update = flag.Bool("update", false, "write the golden files")

// Color is an enum.
type Color int32

func (Color) EnumNames() map[int64]string { return map[int64]string{0: "Red", 1: "Green"} }

// Line is one line of a chat.
type Line struct {
	User   string            `json:"user"`
	At     time.Time         `json:"at"`
	Data   []byte            `json:"data,omitempty"`
	Parent *Line             `json:"parent"`
	Marks  map[string][]*int `json:"marks"`
	Color  Color             `json:"color"`
	ID     protocol.Guid     `json:"id"`
	Price  protocol.Decimal  `json:"price"`
	Secret string            `json:"-"`
}

// Chat is a hub with every shape of method.
type Chat struct{}

func (*Chat) OnConnected(*server.Call) error { return nil }

// SendMessage tells everyone.
func (*Chat) SendMessage(call *server.Call, user, text string) error { return nil }

func (*Chat) History(limit int, class string) ([]Line, error) { return nil, nil }

// Counter counts to <count>.
func (*Chat) Counter(count int) <-chan int { return nil }

func (*Chat) Lines() iter.Seq2[Line, error] { return nil }

func (*Chat) Upload(call *server.Call, lines <-chan string) (int, error) { return 0, nil }

func (*Chat) Renamed(any) {}

var (
	receive = server.ClientMethod2[string, Line]("ReceiveMessage")
	ask     = server.ClientFunction1[string, bool]("Ask")
	bye     = server.ClientMethod0("Bye")
)

func TestTheGoldenFilesAreWhatIsWritten(t *testing.T) {
	source, err := hubgen.ReadSource("testdata/source")
	if err != nil {
		t.Fatal(err)
	}
	opts := &server.Options{Methods: map[string]server.MethodOptions{"Renamed": {Name: "other-name"}}}
	for file, c := range map[string]struct {
		write func(io.Writer, any, *server.Options, ...any) error
		codec protocol.Codec
	}{
		"chat.ts":             {hubgen.TypeScript, protocol.JSON{}},
		"chat.messagepack.ts": {hubgen.TypeScript, protocol.MessagePack{}},
		"chat.rxjs.ts":        {hubgen.RxJS, protocol.JSON{}},
		"chat.angular.ts":     {hubgen.Angular, protocol.MessagePack{}},
		"chat.asyncapi.json":  {hubgen.AsyncAPI, protocol.JSON{}},
		"Chat.cs":             {hubgen.CSharp, protocol.JSON{}},
	} {
		var got bytes.Buffer
		if err := c.write(&got, &Chat{}, opts, source, c.codec, hubgen.Client(receive, "user", "line"), ask, bye); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile("testdata/"+file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got.Bytes()) {
			t.Errorf("%s differs; run with -update and read the difference:\n%s", file, &got)
		}
	}
}

type variadic struct{}

func (variadic) Say(...string) {}

func TestWhatCannotBeWrittenIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		hub   any
		extra []any
		want  string
	}{
		"a nil hub":                      {nil, nil, "must not be nil"},
		"a variadic method":              {variadic{}, nil, "method Say: variadic"},
		"a client method that is text":   {&Chat{}, []any{"Receive"}, "not string"},
		"more names than arguments":      {&Chat{}, []any{hubgen.Client(bye, "a")}, "has 0 arguments, but 1 names"},
		"two client methods of one name": {&Chat{}, []any{bye, bye}, `two methods are called "Bye"`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := hubgen.TypeScript(&out, c.hub, nil, c.extra...)
			if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
				t.Errorf("got %v and %d bytes, want an error with %q and no bytes", err, out.Len(), c.want)
			}
		})
	}
}

// Odd has members and an enum whose names C# cannot spell.
type Odd struct {
	Plain int32 `json:"plain" msgpack:"with space"`
	Class Shade `json:"kind" msgpack:"class"`
	Big   int64 `json:"big,string,omitempty"`
}

type Shade int32

func (Shade) EnumNames() map[int64]string { return map[int64]string{1: "dark blue", 2: "Red"} }

type oddHub struct{}

func (oddHub) Odd(Odd) {}

func TestPropertiesHaveTheNamesOfMessagePack(t *testing.T) {
	var out bytes.Buffer
	if err := hubgen.CSharp(&out, oddHub{}, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"[DataContract]\npublic sealed record Odd\n",
		`[JsonPropertyName("plain"), DataMember(Name = "with space")] public int WithSpace {`,
		`[JsonPropertyName("kind"), DataMember(Name = "class")] public Shade class_ {`,
		`DataMember(Name = "Big"), JsonNumberHandling(JsonNumberHandling.AllowReadingFromString | JsonNumberHandling.WriteAsString)] public long Big {`,
		`    [EnumMember(Value = "dark blue")] @darkblue = 1,`,
		"    @Red = 2,",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nowhere: %s", want)
		}
	}
	if t.Failed() {
		t.Log(&out)
	}
}
