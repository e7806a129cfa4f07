package azure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/interop/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const accessKey = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"

// A world is a gateway and how apps connect to it.
type world struct {
	address string
	log     *harness.Tail
	kill    func(*testing.T) // ends the gateway as if its process had ended
}

// connectionString is what apps are given.
func (w *world) connectionString() string {
	return "Endpoint=http://" + w.address + ";AccessKey=" + accessKey + ";Version=1.0;"
}

// startGateway starts a gateway on a free port. It ends with the test.
func startGateway(t *testing.T) *world {
	t.Helper()
	w := &world{address: "127.0.0.1:0", log: &harness.Tail{}}
	t.Cleanup(func() {
		w.kill(t)
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", w.log)
		}
	})
	w.startAgain(t)
	return w
}

// startAgain starts a new gateway where the old one was.
func (w *world) startAgain(t *testing.T) {
	t.Helper()
	g, err := gateway.New(&gateway.Options{AccessKeys: []string{accessKey}, Logger: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	w.address = listener.Addr().String()
	server := &http.Server{Handler: g}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ErrServerClosed
	}()
	once := sync.OnceFunc(func() {
		_ = server.Close()
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = g.Shutdown(now) // cuts what the server has left to it
		<-served
	})
	w.kill = func(*testing.T) { once() }
}

// nodeCommand is the command line of the app with the SDK behind w, words
// divided by blanks.
func (w *world) nodeCommand(t *testing.T) string {
	t.Helper()
	harness.Dotnet(t)
	return "dotnet " + harness.DotnetProgram(t, "node") + " --azure " + w.connectionString()
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
	w := startGateway(t)
	node := w.nodeCommand(t)
	modules := harness.Modules(t, "../js")
	expected := loadExpectations(t, "expected.json")
	for _, name := range []string{"calls", "groups", fileOfResults, "streams", "uploads", "errors"} {
		t.Run(name, func(t *testing.T) { playFile(t, expected, modules, node, name) })
	}
	if !t.Failed() {
		expected.allUsed(t)
	}
}

// fileOfResults is about client results. It is played up to three times while tests
// in it wait for ever: the SDK may lose the answer of a client. It notes down whom it
// has asked after its write has returned, and drops an answer that is there by then. A
// trace of the gateway showed it: the call came as the last of a batch, its answer left
// 4 ms later, and the SDK never said that it was done. With four busy processes for two
// cores that is one run in ten.
const (
	fileOfResults  = "results"
	playsOfResults = 3
)

func playFile(t *testing.T, expected expectations, modules, node, name string) {
	file := "../js/" + name + ".test.mjs"
	outcomes := play(t, modules, node, file)
	for again := 1; name == fileOfResults && again < playsOfResults && slices.ContainsFunc(outcomes, outcome.timedOut); again++ {
		for _, o := range outcomes {
			if o.timedOut() {
				t.Logf("played again, because it waited for ever: %s", strings.Join(o.Names, "/"))
			}
		}
		outcomes = play(t, modules, node, file)
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

func play(t *testing.T, modules, node, file string) (outcomes []outcome) {
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
	cmd.Dir = modules
	cmd.Env = append(os.Environ(), "NODE_COMMAND="+node, "CLIENTS=redirected", "HUBWIRE_NODE=")
	out, runErr := harness.Run(t, cmd, fileTime)
	for line := range bytes.Lines(out) {
		var o outcome
		if err := json.Unmarshal(line, &o); err != nil {
			t.Errorf("%s printed %q", file, line)
			continue
		}
		outcomes = append(outcomes, o)
	}
	if exit := (*exec.ExitError)(nil); runErr != nil && (!errors.As(runErr, &exit) || exit.ExitCode() != 1) { // 1: a test failed
		t.Errorf("%s: %v", file, runErr)
	}
	return outcomes
}
