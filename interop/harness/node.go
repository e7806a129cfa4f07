package harness

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// startTime is how long a node may take to print its READY line.
const startTime = 60 * time.Second

// BuildFlags are those that go build and go test need to build as the test was
// built: -race, or nothing.
func BuildFlags() []string { return buildFlags }

// OwnNode reports whether the node under test is interop/node, and not one
// that HUBWIRE_NODE names.
func OwnNode() bool { return os.Getenv("HUBWIRE_NODE") == "" }

// NodeCommand returns the command line of the node under test, words divided
// by blanks. If it is interop/node, it is built first and lives as long as the
// test.
func NodeCommand(t testing.TB) string {
	t.Helper()
	if command := os.Getenv("HUBWIRE_NODE"); command != "" {
		return command
	}
	program := GoProgram(t, "github.com/hubwire/hubwire/interop/node", buildFlags...)
	if strings.Contains(program, " ") {
		t.Fatalf("the folder for temporary files must not have a blank in its name: %s", program)
	}
	return program
}

// GoProgram builds a Go program by the path of its package, with these flags of "go
// build", and returns where it is. It lives as long as the test.
func GoProgram(t testing.TB, name string, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), path.Base(name))
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	args := slices.Concat([]string{"build"}, flags, []string{"-o", program, name})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return program
}

// NeedOwnNode skips the test where HUBWIRE_NODE is another server: it has no --nodes.
func NeedOwnNode(t testing.TB) {
	t.Helper()
	if !OwnNode() {
		t.Skip("the node of HUBWIRE_NODE has no --nodes")
	}
}

// AnyNode returns the arguments with which interop/node is three nodes behind a
// balancer that gives each request to a random one, with a Redis of the test's own.
// It skips the test as NeedOwnNode and Need do.
func AnyNode(t testing.TB) []string {
	t.Helper()
	NeedOwnNode(t)
	return []string{"--nodes", "3", "--redis", Redis(t)}
}

// A Node is a running node. Its methods are for one goroutine.
type Node struct {
	// URL is where it listens, without a slash at the end.
	URL string

	t       testing.TB
	process *Process
	killed  bool
}

var ready = regexp.MustCompile(`^READY (\S+)$`)

// StartNode starts a node by its command line followed by args, on a free
// port, and waits until it is ready. It is stopped when the test ends; a node
// that does not end with status 0 fails the test.
func StartNode(t testing.TB, command string, args ...string) *Node {
	t.Helper()
	n := &Node{t: t}
	n.process, n.URL = StartUntil(t, nodeAt("127.0.0.1:0", command, args), ready, startTime)
	t.Cleanup(n.Stop)
	return n
}

// StartNodeAt is StartNode for a node whose address is known before, or that of a node
// that has ended. An empty address stands for any free one, and ADDR in args for what
// it is. A node that ends before it is ready is started again, a few times, because
// another program may have got its port.
func StartNodeAt(t testing.TB, address, command string, args ...string) *Node {
	t.Helper()
	for range starts {
		at := address
		if at == "" {
			at = FreeAddress(t)
		}
		own := make([]string, len(args))
		for i, arg := range args {
			own[i] = strings.ReplaceAll(arg, "ADDR", at)
		}
		n, begun := &Node{t: t}, false
		if n.process, n.URL, begun = startUntil(t, nodeAt(at, command, own), ready, startTime); begun {
			t.Cleanup(n.Stop)
			return n
		}
		n.process.Kill() // if it only has closed its output
		t.Logf("a node at %s ended with %v", at, n.process.Wait())
		time.Sleep(startPause)
	}
	t.Fatalf("%s cannot listen", command)
	return nil
}

// nodeAt returns the command of a node that is to listen at an address.
func nodeAt(address, command string, args []string) *exec.Cmd {
	words := append(append(strings.Fields(command), "--urls", "http://"+address), args...)
	return exec.Command(words[0], words[1:]...)
}

// Stop stops the node and waits for its end. Stopping twice is allowed.
func (n *Node) Stop() {
	n.t.Helper()
	if err := n.process.Stop(); err != nil && !n.killed {
		n.t.Errorf("the node ended with %v", err)
	}
}

// PID returns the number of the node's process.
func (n *Node) PID() int { return n.process.cmd.Process.Pid }

// Kill ends the node with SIGKILL and waits for its end. A node that has ended by
// itself before, with status 0, fails the test.
func (n *Node) Kill() {
	n.t.Helper()
	n.killed = true
	n.process.Kill()
	if n.process.Wait() == nil {
		n.t.Error("the node ended by itself before it was killed")
	}
}
