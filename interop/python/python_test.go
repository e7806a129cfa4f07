package python

import (
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/interop/internal/cases"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// often makes the server ping often: signalrcore ends a connection only when
// the next message arrives.
const often = "200"

func TestSignalrcore(t *testing.T) { play(t, "signalrcore", signalrcore()) }

// TestSignalrcoreOnAnyNode plays the same on three nodes, of which each request gets a
// random one.
func TestSignalrcoreOnAnyNode(t *testing.T) {
	playOnAnyNode(t, "signalrcore", signalrcore())
}

func TestPysignalr(t *testing.T) { play(t, "pysignalr", pysignalr()) }

// TestPysignalrOnAnyNode is TestSignalrcoreOnAnyNode for the other client.
func TestPysignalrOnAnyNode(t *testing.T) {
	playOnAnyNode(t, "pysignalr", pysignalr())
}

func signalrcore() *cases.Client {
	lacks := []cases.Lack{
		{Case: "client results", Why: "it has none"},
		{Case: "a question without handler", Why: "it does not answer"},
		{Case: "a stream that is cancelled", Why: "it cannot cancel a stream"},
		{Case: "uploads", Why: "its uploads have no result"},
		{Case: "an upload that fails", Why: "its uploads cannot fail"},
		{Case: "an upload without a result", Mode: "WebSockets messagepack", Why: "it leaves out the invocation id of an upload, which is null, so that the message has a field less"},
		{Case: "the server refuses", Why: "it does not tell why a connection was closed"},
	}
	// It posts its handshake before its first poll, which ASP.NET Core 11
	// refuses, and so do we: it has no long polling.
	return &cases.Client{
		Modes: []string{"WebSockets json", "WebSockets messagepack", "WebSockets json without negotiation", "ServerSentEvents json"},
		Lacks: lacks,
	}
}

func pysignalr() *cases.Client {
	return &cases.Client{
		Modes: []string{"WebSockets json", "WebSockets messagepack"},
		Lacks: []cases.Lack{
			{Case: "a stream that is cancelled", Why: "it cannot cancel a stream"},
			{Case: "uploads", Why: "its uploads have no result"},
			{Case: "an upload that fails", Why: "its uploads cannot fail"},
		},
	}
}

func playOnAnyNode(t *testing.T, library string, c *cases.Client) {
	t.Helper()
	args, refused := harness.Refusals(t)
	c.Refused = refused
	play(t, library, c, append(args, harness.AnyNode(t)...)...)
}

// play plays the cases with a library, which play.py imports by its name, on a node
// with these arguments.
func play(t *testing.T, library string, c *cases.Client, args ...string) {
	t.Helper()
	harness.Long(t, "starts Python")
	python := harness.Tool(t, "python3")
	packages := harness.PythonPackages(t, ".")
	t.Parallel()
	node := harness.StartNode(t, harness.NodeCommand(t), append(args, "--keepalive-ms", often)...)
	c.Command = func(args ...string) *exec.Cmd {
		cmd := exec.Command(python, append([]string{"play.py", library}, args...)...)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+packages, "PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8")
		return cmd
	}
	cases.Play(t, c, node.URL)
}
