package http2

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// playLimit bounds one run of the program, which takes about a second.
const playLimit = 3 * time.Minute

// saw is what the program prints.
type saw struct {
	Protocol string
	Invoke   string
	Stream   []string
	Upload   string
	Asked    string
	Pushed   string
	Large    string // how long the text is that came back, and how much of it is wrong
}

func TestEventsAndPollsOverHTTP2(t *testing.T) {
	program := client(t)
	for _, transport := range []string{"ServerSentEvents", "LongPolling"} {
		t.Run(transport, func(t *testing.T) {
			n := startNode(t, true)
			works(t, play(t, program, n, transport, "default"), "HTTP/2.0")
			got := slices.DeleteFunc(n.seen(), func(request string) bool {
				// The client leaves it out if it hears of the end by a poll first.
				return transport == "LongPolling" && request == "HTTP/2.0 DELETE /hub"
			})
			if want := []string{"HTTP/2.0 GET /hub", "HTTP/2.0 POST /hub", "HTTP/2.0 POST /hub/negotiate"}; !slices.Equal(got, want) {
				t.Errorf("requests %q, want %q", got, want)
			}
		})
	}
}

func TestWebSocketsOverHTTP2WhereTheSwitchIsOn(t *testing.T) {
	if again(t, "http2xconnect=1") {
		return
	}
	program := client(t)
	for _, tt := range []struct{ version, protocol, request string }{
		{version: "exactly", protocol: "HTTP/2.0", request: "HTTP/2.0 CONNECT /hub"},
		{version: "orlower", protocol: "HTTP/2.0", request: "HTTP/2.0 CONNECT /hub"},
		{version: "default", protocol: "HTTP/1.1", request: "HTTP/1.1 GET /hub"},
	} {
		t.Run(tt.version, func(t *testing.T) {
			n := startNode(t, true)
			works(t, play(t, program, n, "WebSockets", tt.version), tt.protocol)
			if got, want := n.seen(), []string{tt.request, "HTTP/2.0 POST /hub/negotiate"}; !slices.Equal(got, want) {
				t.Errorf("requests %q, want %q", got, want)
			}
		})
	}
}

func TestWebSocketsOverHTTP1WhereTheSwitchIsOff(t *testing.T) {
	if again(t, "http2xconnect=0") {
		return
	}
	program := client(t)
	for _, tt := range []struct {
		name, version string
		onlyHTTP1     bool
		negotiate     string
	}{
		{name: "a client without options", version: "default", negotiate: "HTTP/2.0 POST /hub/negotiate"},
		{name: "a client that falls back, with the way around its defect", version: "orlower-repaired", negotiate: "HTTP/2.0 POST /hub/negotiate"},
		{name: "the same, where the server has no HTTP/2 at all", version: "orlower-repaired", onlyHTTP1: true, negotiate: "HTTP/1.1 POST /hub/negotiate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := startNode(t, !tt.onlyHTTP1)
			works(t, play(t, program, n, "WebSockets", tt.version), "HTTP/1.1")
			if got, want := n.seen(), []string{"HTTP/1.1 GET /hub", tt.negotiate}; !slices.Equal(got, want) {
				t.Errorf("requests %q, want %q", got, want)
			}
		})
	}
}

// Clients that get no connection where the switch is off. Those with a fallback
// would get one without a defect of the client: see KeepsHttp1.cs. When one of
// them works, it moves to the table above.
func TestWebSocketsThatFailWhereTheSwitchIsOff(t *testing.T) {
	if again(t, "http2xconnect=0") {
		return
	}
	program := client(t)
	for _, tt := range []struct {
		name, version string
		onlyHTTP1     bool
		requests      []string
	}{
		{
			name: "a client that takes nothing but HTTP/2", version: "exactly",
			requests: []string{"HTTP/2.0 POST /hub/negotiate"},
		},
		{
			name: "a client that falls back: its second request is HTTP/2 again", version: "orlower",
			requests: []string{"HTTP/2.0 GET /hub", "HTTP/2.0 POST /hub/negotiate"},
		},
		{
			name: "a client that falls back, where the server has no HTTP/2 at all: its second request is not sent", version: "orlower", onlyHTTP1: true,
			requests: []string{"HTTP/1.1 POST /hub/negotiate"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := startNode(t, !tt.onlyHTTP1)
			out, err := run(t, program, n, "WebSockets", tt.version)
			if harness.Status(err) != 1 || len(out) > 0 {
				t.Errorf("the client ended with %v and printed %q, want an error", err, out)
			}
			if got := n.seen(); !slices.Equal(got, tt.requests) {
				t.Errorf("requests %q, want %q", got, tt.requests)
			}
		})
	}
}

// works fails the test unless every feature works, on a connection made over
// this protocol.
func works(t *testing.T, got saw, protocol string) {
	t.Helper()
	want := saw{
		Protocol: protocol, Invoke: "grüße", Stream: []string{"a", "b", "c"}, Upload: "abc",
		Asked: "asked answered", Pushed: "pushed", Large: "300000 0",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the client saw %+v, want %+v", got, want)
	}
}

// play runs the program and returns what it printed.
func play(t *testing.T, program string, n *node, transport, version string) (got saw) {
	t.Helper()
	out, err := run(t, program, n, transport, version)
	if err != nil {
		t.Fatalf("the client ended with %v after the requests %q\n%s", err, n.seen(), out)
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("the client printed %q: %v", out, err)
	}
	return got
}

func run(t *testing.T, program string, n *node, transport, version string) ([]byte, error) {
	t.Helper()
	return harness.Run(t, exec.Command("dotnet", program, n.server.URL+"/hub", transport, version, n.thumbprint()), playLimit)
}

// client returns the path of the built program.
func client(t *testing.T) string {
	t.Helper()
	harness.Long(t, "takes some ten seconds")
	harness.Dotnet(t)
	return harness.DotnetProgram(t, "client")
}

// again runs the test again, in a program of its own, unless this one was
// started with that GODEBUG. It reports whether it has.
func again(t *testing.T, godebug string) bool {
	t.Helper()
	if os.Getenv("GODEBUG") == godebug {
		return false
	}
	client(t) // if it cannot be had, this test is skipped, and not only the other
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG="+godebug)
	out, err := harness.Run(t, cmd, 2*playLimit)
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("with GODEBUG=%s: %v\n%s", godebug, err, out)
	}
	return true
}
