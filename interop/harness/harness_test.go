package harness

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// recorder is a testing.TB that remembers how a test ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Skipf(string, ...any)  { r.skipped = true; runtime.Goexit() }
func (r *recorder) Error(...any)          { r.failed = true }
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }

// outcome runs f as a test of its own and reports how it ended.
func outcome(f func(t testing.TB)) *recorder {
	r, done := &recorder{}, make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r
}

func TestNeed(t *testing.T) {
	for _, tt := range []struct {
		name            string
		tool, required  string
		skipped, failed bool
	}{
		{name: "a tool that is there does nothing", tool: "go"},
		{name: "a tool that is missing skips", tool: "no-such-tool", skipped: true},
		{name: "a tool that is missing fails where tools are required", tool: "no-such-tool", required: "1", failed: true},
		{name: "a tool that is there is enough where tools are required", tool: "go", required: "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HUBWIRE_REQUIRE_TOOLS", tt.required)
			got := outcome(func(t testing.TB) { Need(t, tt.tool) })
			if got.skipped != tt.skipped || got.failed != tt.failed {
				t.Errorf("Need(%q): skipped %v, failed %v; want %v, %v", tt.tool, got.skipped, got.failed, tt.skipped, tt.failed)
			}
		})
	}
}

// scriptedNode writes a shell script that plays a node.
func scriptedNode(t *testing.T, script string) string {
	t.Helper()
	Need(t, "sh")
	path := filepath.Join(t.TempDir(), "node.sh")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	return "sh " + path
}

func TestStartNode(t *testing.T) {
	command := scriptedNode(t, `trap 'exit 0' TERM; echo "READY http://$1-$2-$3"; while :; do sleep 0.05; done`)
	n := StartNode(t, command, "--detailed")
	if want := "http://--urls-http://127.0.0.1:0---detailed"; n.URL != want {
		t.Errorf("URL = %q, want %q", n.URL, want)
	}
	n.Stop()
	n.Stop() // does nothing
}

func TestStopReportsHowAProcessEnded(t *testing.T) {
	command := scriptedNode(t, `trap 'exit 66' TERM; echo ready; while :; do sleep 0.05; done`)
	cmd := exec.Command("sh", strings.Fields(command)[1])
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := Start(t, cmd)
	if _, err := out.Read(make([]byte, 10)); err != nil { // the trap is set
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.Stop(); !errors.As(err, &exit) || exit.ExitCode() != 66 {
		t.Errorf("Stop = %v, want status 66", err)
	}
}

func TestStartUntilReturnsWhatTheFirstLineSaysOrFails(t *testing.T) {
	line := regexp.MustCompile(`^PORT (\d+)$`)
	for _, tt := range []struct {
		name, script, want string
		failed             bool
	}{
		{name: "a program that says it twice", script: "echo begins; echo PORT 1; echo PORT 2; cat", want: "1"},
		{name: "a program that ends before", script: "echo PORT none", failed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			Need(t, "sh")
			var got string
			o := outcome(func(r testing.TB) {
				r.(*recorder).TB = t // for Cleanup
				cmd := exec.Command("sh", "-c", tt.script)
				if _, err := cmd.StdinPipe(); err != nil { // cat waits for it
					t.Error(err)
				}
				_, got = StartUntil(r, cmd, line, time.Minute)
			})
			if got != tt.want || o.failed != tt.failed {
				t.Errorf("StartUntil = %q, failed %v, want %q, %v", got, o.failed, tt.want, tt.failed)
			}
		})
	}
}

func TestANodeThatEndsByItselfFailsTheTestThatKillsIt(t *testing.T) {
	Need(t, "sh")
	for _, tt := range []struct {
		name, script string
		failed       bool
	}{
		{name: "a node that runs", script: `echo "READY http://x"; while :; do sleep 0.05; done`},
		{name: "a node that has ended", script: `echo "READY http://x"`, failed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := StartNode(t, scriptedNode(t, tt.script))
			if tt.failed {
				_ = n.process.Wait()
			}
			r := &recorder{}
			n.t = r
			n.Kill()
			if n.t = t; r.failed != tt.failed {
				t.Errorf("Kill: failed %v, want %v", r.failed, tt.failed)
			}
		})
	}
}

func TestTalkReadsToTheEndOfAProgramThatEndsWithItsInput(t *testing.T) {
	Need(t, "cat")
	var text []byte
	t.Run("program", func(t *testing.T) {
		in := Talk(t, exec.Command("cat"), func(out io.Reader) { text, _ = io.ReadAll(out) })
		if _, err := io.WriteString(in, "hello"); err != nil {
			t.Fatal(err)
		}
	})
	if string(text) != "hello" {
		t.Errorf("read %q, want what was written, to its end", text)
	}
}

func TestRunEndsTheWholeGroupAtItsLimit(t *testing.T) {
	Need(t, "sh", "sleep")
	start := time.Now()
	// The child holds standard output open, so that Run would wait for it.
	out, err := Run(t, exec.Command("sh", "-c", "echo begun; sleep 60 & wait"), 5*time.Second)
	if err == nil || string(out) != "begun\n" || time.Since(start) > 20*time.Second {
		t.Errorf("Run = %q, %v after %v", out, err, time.Since(start))
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var w Tail
	for range 3 {
		if n, err := w.Write([]byte(strings.Repeat("x", tailSize/2))); err != nil || n != tailSize/2 {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if _, err := w.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	if got := w.String(); len(got) != tailSize+3 || !strings.HasPrefix(got, "...x") || !strings.HasSuffix(got, "xend") {
		t.Errorf("String has %d bytes: %.5q to %.5q", len(got), got, got[len(got)-5:])
	}
}

func TestRedisAnswers(t *testing.T) {
	addr := Redis(t)
	if err := ping(addr, time.Now().Add(time.Minute)); err != nil {
		t.Errorf("PING %s: %v", addr, err)
	}
}
