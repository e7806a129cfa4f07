package azure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sdkCommand is the command line of the app with the SDK, words divided by blanks.
func sdkCommand(t *testing.T, connectionString string) string {
	t.Helper()
	harness.Dotnet(t)
	return "dotnet " + harness.DotnetProgram(t, "node") + " --azure " + connectionString
}

// goCommand is that of the Go app. It skips the test where HUBWIRE_NODE is another
// server.
func goCommand(t *testing.T, connectionString string) string {
	t.Helper()
	if !harness.OwnNode() {
		t.Skip("the node of HUBWIRE_NODE has no --azure")
	}
	return harness.NodeCommand(t) + " --azure " + connectionString
}

// fileTime bounds the tests of one file.
const fileTime = 4 * time.Minute

// outcome is what interop/js/lib/reporter.mjs says of one test.
type outcome struct {
	Names   []string `json:"names"`
	Passed  bool     `json:"passed"`
	Skipped string   `json:"skipped"`
	Error   string   `json:"error"`
}

// TestJavaScriptClients plays the tests of interop/js that are about hubs, by
// all transports and both protocols.
func TestJavaScriptClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute; not with -short")
	}
	harness.Need(t, "node", "npm")
	g := harness.StartGateway(t)
	p := player{
		node: sdkCommand(t, g.ConnectionString()) + oneConnection, modules: harness.Modules(t, "../js"), clients: "redirected", resultsPlays: playsOfResults,
		env: []string{"SERVICE=" + g.URL()},
	}
	p.playAll(t, "expected.json", []string{"calls", "cut", "groups", fileOfResults, "streams", "uploads", "errors"})
}

// TestJavaScriptClientsOfAGoHub plays what is played against a Go hub without a
// service, by all clients that negotiate: others cannot be told where to connect.
func TestJavaScriptClientsOfAGoHub(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute; not with -short")
	}
	harness.Need(t, "node", "npm")
	g := harness.StartGateway(t)
	p := player{
		node: goCommand(t, g.ConnectionString()) + oneConnection, modules: harness.Modules(t, "../js"), resultsPlays: 1, parallel: true,
		env: []string{"SERVICE=" + g.URL()},
	}
	t.Run("current", func(t *testing.T) {
		p.clients = "negotiating"
		p.playAll(t, "expectedgo.json", []string{"calls", "cut", "errors", "groups", "many", "reconnect", fileOfResults, "stop", "streams", "timeouts", "uploads", "values"})
	})
	t.Run("old", func(t *testing.T) {
		p.clients = "old"
		p.playAll(t, "expectedgoold.json", []string{"calls", "groups", fileOfResults, "streams", "uploads"})
	})
}

// oneConnection are arguments for an app. What is sent from outside of calls has an
// order only within one service connection, and the tests count on it: once a client
// has the answer to a call, it has all that was sent before.
const oneConnection = " --connections 1"

// A player plays tests of interop/js against nodes of a command.
type player struct {
	node, modules string
	clients       string // as interop/js/lib/modes.mjs names them
	resultsPlays  int    // how often the file about client results may be played
	parallel      bool   // the files are played at the same time
	env           []string
}

// playAll plays files, of which the list of expectations says what differs.
func (p *player) playAll(t *testing.T, list string, files []string) {
	expected := loadExpectations(t, list)
	t.Cleanup(func() { // all files have been played
		if !t.Failed() {
			expected.allUsed(t)
		}
	})
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			if p.parallel {
				t.Parallel()
			}
			p.playFile(t, expected, name)
		})
	}
}

// fileOfResults is about client results. With the SDK it is played up to three times
// while tests in it wait for ever: the SDK may lose the answer of a client. It notes down whom it
// has asked after its write has returned, and drops an answer that is there by then. A
// trace of the gateway showed it: the call came as the last of a batch, its answer left
// 4 ms later, and the SDK never said that it was done. With four busy processes for two
// cores that is one run in ten.
//
// Each of its tests has less time then than others: what waits for ever must not take
// all of fileTime.
const (
	fileOfResults  = "results"
	playsOfResults = 3
	timeOfResult   = 20 * time.Second
)

func (p *player) playFile(t *testing.T, expected expectations, name string) {
	file := "../js/" + name + ".test.mjs"
	plays, limit := 1, time.Minute
	if name == fileOfResults && p.resultsPlays > 1 {
		plays, limit = p.resultsPlays, timeOfResult
	}
	outcomes, err := p.play(t, file, limit)
	for again := 1; again < plays && slices.ContainsFunc(outcomes, outcome.timedOut); again++ {
		for _, o := range outcomes {
			if o.timedOut() {
				t.Logf("played again, because it waited for ever: %s", strings.Join(o.Names, "/"))
			}
		}
		outcomes, err = p.play(t, file, limit)
	}
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
	for _, o := range outcomes {
		name := strings.Join(o.Names, "/")
		if o.Passed && o.Skipped != "" {
			t.Run(name, func(t *testing.T) { t.Skip(o.Skipped) })
			continue
		}
		expected.report(t, name, o.Passed, o.Error)
	}
	if len(outcomes) == 0 {
		t.Errorf("%s has no test", file)
	}
}

// timedOut reports whether the test has waited for ever.
func (o outcome) timedOut() bool { return !o.Passed && strings.Contains(o.Error, "test timed out") }

// play plays a file, each test within limit. The error is about the file, and not
// about a test that has failed.
func (p *player) play(t *testing.T, file string, limit time.Duration) (outcomes []outcome, err error) {
	t.Helper()
	script, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	reporter, err := filepath.Abs("../js/lib/reporter.mjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "--test", "--test-reporter", reporter, script)
	cmd.Dir = p.modules
	cmd.Env = append(append(os.Environ(), "NODE_COMMAND="+p.node, "CLIENTS="+p.clients, "HUBWIRE_NODE=", fmt.Sprintf("TEST_MS=%d", limit.Milliseconds())), p.env...)
	out, runErr := harness.Run(t, cmd, fileTime)
	for line := range bytes.Lines(out) {
		var o outcome
		if json.Unmarshal(line, &o) != nil {
			err = errors.Join(err, fmt.Errorf("printed %q", line))
			continue
		}
		outcomes = append(outcomes, o)
	}
	if exit := (*exec.ExitError)(nil); runErr != nil && (!errors.As(runErr, &exit) || exit.ExitCode() != 1) { // 1: a test failed
		err = errors.Join(err, runErr)
	}
	return outcomes, err
}
