package harness

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// stopTime is how long a process may take to end by itself after SIGTERM.
const stopTime = 35 * time.Second // the reference node waits 30 s for open requests

// A Process is a program that runs in a process group of its own. Its methods
// are safe for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	wait func() error // waits once, and returns the same to every caller
	gone chan struct{}
}

// Start starts cmd and returns once it runs. When the test ends, the group of
// the process gets SIGTERM, and SIGKILL after 35 seconds, so that nothing that
// cmd has started goes on running. What cmd writes to standard error is logged if
// the test has failed.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	if cmd.Stderr == nil {
		stderr := &Tail{}
		cmd.Stderr = stderr
		t.Cleanup(func() {
			if text := stderr.String(); t.Failed() && text != "" {
				t.Logf("standard error of %s:\n%s", strings.Join(cmd.Args, " "), text)
			}
		})
	}
	ownGroup(cmd)
	// Children that outlive the program hold its output open. They must not keep
	// Wait from returning: the group is ended after it.
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	p := &Process{cmd: cmd, gone: make(chan struct{})}
	p.wait = sync.OnceValue(func() error {
		defer close(p.gone)
		err := cmd.Wait()
		// What the program has left running in its group ends with it.
		signalGroup(cmd, true)
		return err
	})
	t.Cleanup(func() {
		// The error is of no use: the process was stopped on purpose.
		_ = p.Stop()
	})
	return p
}

// StartUntil starts cmd as Start does, waits until it prints a line that fits ready,
// and returns the first group of that. It goes on reading what cmd prints.
func StartUntil(t testing.TB, cmd *exec.Cmd, ready *regexp.Regexp, limit time.Duration) (p *Process, group string) {
	t.Helper()
	p, group, ok := startUntil(t, cmd, ready, limit)
	if !ok {
		t.Fatalf("%s ended before it printed %s", strings.Join(cmd.Args, " "), ready)
	}
	return p, group
}

// startUntil is StartUntil, but reports whether the program has printed the line
// before its end.
func startUntil(t testing.TB, cmd *exec.Cmd, ready *regexp.Regexp, limit time.Duration) (p *Process, group string, ok bool) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p = Start(t, cmd)
	found := make(chan string, 1)
	go func() { // ends with the process: its standard output is closed then
		defer close(found)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := ready.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default: // not the first such line
				}
			}
		}
	}()
	select {
	case group, ok = <-found:
		return p, group, ok
	case <-time.After(limit):
		t.Fatalf("%s did not print %s within %v", strings.Join(cmd.Args, " "), ready, limit)
	}
	return nil, "", false
}

// Talk starts cmd as Start does, for a program that ends with its standard input,
// which Talk returns. Read reads what it prints, to the end. When the test ends, the
// input is closed, a program that goes on for 35 seconds is killed, and read has
// returned.
func Talk(t testing.TB, cmd *exec.Cmd, read func(out io.Reader)) io.WriteCloser {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := Start(t, cmd)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		read(out)
	}()
	t.Cleanup(func() {
		_ = in.Close() // it may have ended already
		timer := time.AfterFunc(stopTime, func() { p.signal(true) })
		defer timer.Stop()
		<-ended
	})
	return in
}

// Wait waits for the end of the process and says how it ended: nil means
// status 0.
func (p *Process) Wait() error { return p.wait() }

// Stop sends SIGTERM, and SIGKILL after 35 seconds, and waits for the end. It
// returns what Wait returns, and does nothing if the process has ended.
func (p *Process) Stop() error {
	p.signal(false)
	timer := time.AfterFunc(stopTime, func() { p.signal(true) })
	defer timer.Stop()
	return p.wait()
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() {
	p.signal(true)
	// The error says that it was killed.
	_ = p.Wait()
}

// signal signals the group, unless the process has been waited for: then its
// number may belong to another process.
func (p *Process) signal(kill bool) {
	select {
	case <-p.gone:
	default:
		signalGroup(p.cmd, kill)
	}
}

// Run runs cmd to its end, and returns its standard output and how it ended.
// After limit, or when the test ends, the whole process group is ended.
func Run(t testing.TB, cmd *exec.Cmd, limit time.Duration) ([]byte, error) {
	t.Helper()
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	p := Start(t, cmd)
	timer := time.AfterFunc(limit, func() { p.signal(true) })
	err := p.Wait()
	if !timer.Stop() && err != nil {
		err = fmt.Errorf("ended after %v: %w", limit, err)
	}
	return stdout.Bytes(), err
}

// tailSize bounds what a Tail keeps, in bytes.
const tailSize = 64 << 10

// A Tail is a writer that keeps the last 64 KiB. It is safe for concurrent use.
type Tail struct {
	mu   sync.Mutex
	kept []byte
	cut  bool
}

// Write keeps p, and forgets what is older than the last 64 KiB.
func (w *Tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, p...)
	if over := len(w.kept) - tailSize; over > 0 {
		w.kept, w.cut = append(w.kept[:0], w.kept[over:]...), true
	}
	return len(p), nil
}

// String returns what is kept, with "..." in front if something is missing.
func (w *Tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return "..." + string(w.kept)
	}
	return string(w.kept)
}
