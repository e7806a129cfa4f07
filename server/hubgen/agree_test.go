package hubgen_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/hubgen"
)

// Hubs with something odd about them. Takes and Gives have one method with T.
type (
	Takes[T any] struct{}
	Gives[T any] struct{}

	EmbedsCodec   struct{ protocol.JSON }
	EmbedsMutex   struct{ sync.Mutex }
	EmbedsPointer struct{ *Inner }
	EmbedsTwice   struct{ EmbedsHub }
	EmbedsHub     struct{ *server.Hub }
	EmbedsWriter  struct{ io.Writer }
	EmbedsOwn     struct{ Greeter }
	Overrides     struct{ http.Header }
	Inner         struct{}
	Greeter       interface{ Greet(string) string }
	NotAStruct    int
	Functions     map[string]func()
	PointerOnly   struct{}
	Mixed         struct{}
	TwoResults    struct{}
	ErrorFirst    struct{}
	OnlyError     struct{}
	CallSecond    struct{}
	Variadic      struct{}
	Cases         struct{}
	DotNet        struct{}
	WrongEvents   struct{}
	RightEvents   struct{}
	MixedStreams  struct{}
)

func (Takes[T]) Take(T)                      {}
func (Gives[T]) Give() (t T, err error)      { return }
func (EmbedsCodec) Hello() string            { return "" }
func (*EmbedsMutex) Hello()                  {}
func (Inner) Hello(name string)              {}
func (EmbedsTwice) Hello()                   {}
func (EmbedsWriter) Hello()                  {}
func (Overrides) Add(a, b int) int           { return a + b }
func (NotAStruct) Hello()                    {}
func (Functions) Hello()                     {}
func (*PointerOnly) Hello()                  {}
func (*Mixed) Pointer()                      {}
func (Mixed) Value()                         {}
func (TwoResults) Two() (int, string, error) { return 0, "", nil }

//lint:ignore ST1008 that is what is odd about it
func (ErrorFirst) Two() (error, int) { return nil, 0 }

func (OnlyError) One(*server.Call) error               { return nil }
func (CallSecond) Say(string, *server.Call)            {}
func (Variadic) Say(...string)                         {}
func (Cases) Say()                                     {}
func (Cases) SAY()                                     {}
func (DotNet) ToString() string                        { return "" }
func (DotNet) OnConnectedAsync(*server.Call) error     { return nil }
func (WrongEvents) OnConnected()                       {}
func (WrongEvents) OnDisconnected(*server.Call) error  { return nil }
func (RightEvents) OnConnected(*server.Call) error     { return nil }
func (RightEvents) OnDisconnected(*server.Call, error) {}
func (MixedStreams) Mix(*server.Call, <-chan int, string, iter.Seq2[string, error]) (iter.Seq2[time.Time, error], error) {
	return nil, nil
}

func TestHubgenReadsEveryHubAsTheServerDoes(t *testing.T) {
	named := func(name string, m server.MethodOptions) *server.Options {
		return &server.Options{Methods: map[string]server.MethodOptions{name: m}}
	}
	for _, test := range []struct {
		hub  any
		opts *server.Options
		want string // the methods of clients with how many parameters, or "refused"
	}{
		{Takes[int]{}, nil, "Take/1"}, {Takes[any]{}, nil, "Take/1"}, {Takes[error]{}, nil, "refused"}, {Takes[fmt.Stringer]{}, nil, "refused"},
		{Takes[func()]{}, nil, "refused"}, {Takes[chan int]{}, nil, "refused"}, {Takes[chan<- int]{}, nil, "refused"}, {Takes[<-chan int]{}, nil, "Take/1"},
		{Takes[iter.Seq[int]]{}, nil, "refused"}, {Takes[iter.Seq2[int, error]]{}, nil, "Take/1"}, {Takes[iter.Seq2[int, string]]{}, nil, "refused"},
		{Takes[unsafe.Pointer]{}, nil, "refused"}, {Takes[uintptr]{}, nil, "Take/1"}, {Takes[*server.Call]{}, nil, "Take/0"},
		{Takes[json.RawMessage]{}, nil, "Take/1"}, {Takes[map[string]any]{}, nil, "Take/1"}, {Takes[struct{ X int }]{}, nil, "Take/1"}, {Takes[[3]*int]{}, nil, "Take/1"},
		{Gives[int]{}, nil, "Give/0"}, {Gives[fmt.Stringer]{}, nil, "Give/0"}, {Gives[func()]{}, nil, "refused"}, {Gives[chan int]{}, nil, "Give/0"},
		{Gives[chan<- int]{}, nil, "refused"}, {Gives[<-chan int]{}, nil, "Give/0"}, {Gives[iter.Seq[int]]{}, nil, "Give/0"},
		{Gives[iter.Seq2[int, error]]{}, nil, "Give/0"}, {Gives[iter.Seq2[int, int]]{}, nil, "refused"}, {Gives[error]{}, nil, "Give/0"},
		{EmbedsCodec{}, nil, "Hello/0"}, {&EmbedsMutex{}, nil, "Hello/0"}, {EmbedsPointer{&Inner{}}, nil, "Hello/1"}, {EmbedsTwice{}, nil, "Hello/0"},
		{EmbedsWriter{}, nil, "Hello/0"}, {EmbedsOwn{}, nil, "Greet/1"}, {&EmbedsOwn{}, nil, "Greet/1"}, {Overrides{}, nil, "Add/2"},
		{NotAStruct(1), nil, "Hello/0"}, {Functions{}, nil, "Hello/0"}, {&PointerOnly{}, nil, "Hello/0"}, {PointerOnly{}, nil, "refused"},
		{Mixed{}, nil, "refused"}, {&Mixed{}, nil, "Pointer/0 Value/0"}, {nil, nil, "refused"}, {(*Mixed)(nil), nil, "refused"},
		{TwoResults{}, nil, "refused"}, {ErrorFirst{}, nil, "refused"}, {OnlyError{}, nil, "One/0"}, {CallSecond{}, nil, "refused"}, {Variadic{}, nil, "refused"},
		{Cases{}, nil, "refused"}, {Cases{}, named("SAY", server.MethodOptions{Name: "other"}), "other/0 Say/0"}, {Cases{}, named("SAY", server.MethodOptions{Hidden: true}), "Say/0"},
		{Inner{}, named("None", server.MethodOptions{Name: "x"}), "refused"}, {Inner{}, named("Hello", server.MethodOptions{Name: "x", Hidden: true}), "refused"},
		{Variadic{}, named("Say", server.MethodOptions{Hidden: true}), ""}, {Inner{}, named("Hello", server.MethodOptions{Authorize: server.RequireUser}), "Hello/1"},
		{DotNet{}, nil, "refused"}, {WrongEvents{}, nil, "refused"}, {RightEvents{}, nil, ""}, {RightEvents{}, named("OnConnected", server.MethodOptions{}), "refused"},
		{MixedStreams{}, nil, "Mix/3"},
	} {
		var out bytes.Buffer
		_, checked := server.NewHub(test.hub, test.opts)
		err := hubgen.TypeScript(&out, test.hub, test.opts)
		what := fmt.Sprintf("%T %+v", test.hub, test.opts)
		if test.want == "refused" {
			if checked == nil || err == nil || reason(checked) != reason(err) {
				t.Errorf("%s:\n server: %v\n hubgen: %v", what, checked, err)
			}
			continue
		}
		if checked != nil || err != nil {
			t.Errorf("%s:\n server: %v\n hubgen: %v", what, checked, err)
			continue
		}
		for _, method := range strings.Fields(test.want) {
			name, arguments, _ := strings.Cut(method, "/")
			if got := argumentsOf(out.String(), name); got != arguments {
				t.Errorf("%s: method %s is written with %s arguments, want %s:\n%s", what, name, got, arguments, &out)
			}
		}
		if got, want := len(calls.FindAllString(out.String(), -1)), len(strings.Fields(test.want)); got != want {
			t.Errorf("%s: %d methods are written, want %d:\n%s", what, got, want, &out)
		}
	}
}

// reason is what is wrong, without who says so.
func reason(err error) string {
	var wrong *server.HubTypeError
	if errors.As(err, &wrong) {
		return errors.Join(wrong.Errs...).Error()
	}
	return strings.TrimPrefix(err.Error(), "hubgen: ")
}

var calls = regexp.MustCompile(`this\.connection\.(?:invoke|stream)\("([^"]*)"([^)]*)\)`)

// argumentsOf counts the arguments with which TypeScript calls the method.
func argumentsOf(text, method string) string {
	for _, call := range calls.FindAllStringSubmatch(text, -1) {
		if call[1] == method {
			return strconv.Itoa(strings.Count(call[2], ","))
		}
	}
	return "no"
}
