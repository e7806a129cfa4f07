package java

import (
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/interop/internal/cases"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const polling = "LongPolling json"

// Defects of the client in both versions.
const (
	unordered = "its POSTs run side by side, so that the items of an upload arrive in any order, and the end may be first"
	hasty     = "it polls while it starts, and an end that comes before its start is over has another text, or none"
)

func TestMicrosoftsClient(t *testing.T) {
	play(t, func(testing.TB) ([]string, func() int) { return nil, nil })
}

// TestMicrosoftsClientOnAnyNode plays the same on three nodes, of which each request
// gets a random one.
func TestMicrosoftsClientOnAnyNode(t *testing.T) {
	play(t, func(t testing.TB) ([]string, func() int) {
		args, refused := harness.Refusals(t)
		return append(args, harness.AnyNode(t)...), refused
	})
}

// play plays the cases with both versions, each on a node of its own with the
// arguments that node returns; its function is that of cases.Client.Refused.
func play(t *testing.T, node func(testing.TB) (args []string, refused func() int)) {
	t.Helper()
	harness.Long(t, "starts Java")
	java, command := harness.Tool(t, "java"), harness.NodeCommand(t)
	for version, lacks := range map[string][]cases.Lack{
		"9.0.3": nil,
		"7.0.4": {{Case: "a question without handler", Why: "it does not answer"}},
	} {
		classes := harness.JavaProgram(t, ".", "signalr="+version) // one after the other: they share Maven's folder
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			args, refused := node(t)
			cases.Play(t, &cases.Client{
				Refused: refused,
				Modes:   []string{"WebSockets json", "WebSockets json without negotiation", polling},
				Words: map[string]string{
					"an upload that fails":       `"HubException: java.lang.RuntimeException: upload failed"`,
					"a question without handler": `"An unexpected error occurred invoking 'Ask' on the server. HubException: Client failed to parse argument(s)."`,
				},
				Lacks: append(lacks,
					cases.Lack{Case: "uploads", Mode: polling, Why: unordered},
					cases.Lack{Case: "an upload without a result", Mode: polling, Why: unordered},
					cases.Lack{Case: "an upload that fails", Mode: polling, Why: unordered},
					cases.Lack{Case: "the server refuses", Mode: polling, Why: hasty},
				),
				Command: func(args ...string) *exec.Cmd {
					return exec.Command(java, append([]string{"-cp", classes, "Main"}, args...)...)
				},
			}, harness.StartNode(t, command, args...).URL)
		})
	}
}
