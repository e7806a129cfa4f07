package http2

import (
	"bytes"
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

func TestTheClientOverHTTP2(t *testing.T) {
	program := client(t)
	for _, tt := range []struct {
		transport string
		requests  []string
	}{
		{transport: "ServerSentEvents", requests: []string{"HTTP/2.0 GET /hub", "HTTP/2.0 POST /hub", "HTTP/2.0 POST /hub/negotiate"}},
		{transport: "LongPolling", requests: []string{"HTTP/2.0 DELETE /hub", "HTTP/2.0 GET /hub", "HTTP/2.0 POST /hub", "HTTP/2.0 POST /hub/negotiate"}},
	} {
		t.Run(tt.transport, func(t *testing.T) {
			n := startNode(t)
			works(t, play(t, program, n, tt.transport, "exactly"), "HTTP/2.0")
			if got := n.seen(); !slices.Equal(got, tt.requests) {
				t.Errorf("requests %q, want %q", got, tt.requests)
			}
		})
	}
}

func TestWebSocketsOverHTTP2WhereTheSwitchIsOn(t *testing.T) {
	if again(t, "http2xconnect=1") {
		return
	}
	program := client(t)
	for _, policy := range []string{"exactly", "orlower"} {
		t.Run(policy, func(t *testing.T) {
			n := startNode(t)
			works(t, play(t, program, n, "WebSockets", policy), "HTTP/2.0")
			if got, want := n.seen(), []string{"HTTP/2.0 CONNECT /hub", "HTTP/2.0 POST /hub/negotiate"}; !slices.Equal(got, want) {
				t.Errorf("requests %q, want %q", got, want)
			}
		})
	}
}

func TestWebSocketsOverHTTP1WhereTheSwitchIsOff(t *testing.T) {
	if again(t, "") {
		return
	}
	program := client(t)
	t.Run("a client that takes less gets HTTP/1.1", func(t *testing.T) {
		n := startNode(t)
		works(t, play(t, program, n, "WebSockets", "orlower"), "HTTP/1.1")
		if got, want := n.seen(), []string{"HTTP/1.1 GET /hub", "HTTP/2.0 POST /hub/negotiate"}; !slices.Equal(got, want) {
			t.Errorf("requests %q, want %q", got, want)
		}
	})
	t.Run("a client that takes nothing else is told so", func(t *testing.T) {
		n := startNode(t)
		if out, err := run(t, program, n, "WebSockets", "exactly"); err == nil {
			t.Errorf("the client works: %s", out)
		}
		if got, want := n.seen(), []string{"HTTP/2.0 POST /hub/negotiate"}; !slices.Equal(got, want) {
			t.Errorf("requests %q, want %q", got, want)
		}
	})
}

// works fails the test unless every feature did, on a connection made over
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
func play(t *testing.T, program string, n *node, transport, policy string) (got saw) {
	t.Helper()
	out, err := run(t, program, n, transport, policy)
	if err != nil {
		t.Fatalf("the client ended with %v\n%s", err, out)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("the client printed %q: %v", out, err)
	}
	return got
}

func run(t *testing.T, program string, n *node, transport, policy string) ([]byte, error) {
	t.Helper()
	return harness.Run(t, exec.Command("dotnet", program, n.server.URL+"/hub", transport, policy, n.thumbprint()), playLimit)
}

// client returns the path of the built program.
func client(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("takes half a minute; not with -short")
	}
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
