package anynode

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// processes is how many run at a time. Each has two nodes of the fleet.
const processes = 3

// hangTime bounds what must happen: a request that has no answer by then hangs.
const hangTime = 3 * time.Minute

// A process is one of interop/node, from its start to its end.
type process struct {
	*harness.Process
	url    string
	doomed atomic.Bool   // it is about to be killed
	gone   chan struct{} // closed when it was
	log    *complaints

	forwarded, directly uint64 // what it has reported last; of the test's goroutine
}

// A fleet is processes behind one Redis. Its methods are for the test's goroutine,
// but for random and living.
type fleet struct {
	t       *testing.T
	command []string
	slots   [processes]atomic.Pointer[process]
	all     []*process
	web     *http.Client
}

// newFleet starts the processes by a command line.
func newFleet(t *testing.T, web *http.Client, command []string) *fleet {
	f := &fleet{t: t, web: web, command: append(command, "--urls", "http://127.0.0.1:0", "--log", "Warning", "--nodes", "2")}
	for i := range f.slots {
		f.start(i)
	}
	return f
}

var ready = regexp.MustCompile(`^READY (\S+)$`)

func (f *fleet) start(slot int) {
	f.t.Helper()
	p := &process{gone: make(chan struct{}), log: &complaints{}}
	cmd := exec.Command(f.command[0], f.command[1:]...)
	cmd.Stderr = p.log
	p.Process, p.url = harness.StartUntil(f.t, cmd, ready, hangTime)
	f.all = append(f.all, p)
	f.slots[slot].Store(p)
}

// kill ends a process with SIGKILL.
func (f *fleet) kill(slot int) {
	p := f.slots[slot].Load()
	f.count(p)
	p.doomed.Store(true)
	p.Kill()
	close(p.gone)
}

// stop ends what still runs, as by SIGTERM. It reports whether no node has said that
// something was wrong.
func (f *fleet) stop() (quiet bool) {
	quiet = true
	for _, p := range f.all {
		if !p.doomed.Load() {
			f.count(p)
			if err := p.Stop(); err != nil {
				f.t.Errorf("a node ended with %v", err)
			}
		}
		said, bad := p.log.said()
		switch {
		case bad:
			f.t.Errorf("a node says:\n%s", said)
		case said != "":
			quiet = false
			f.t.Logf("a node says:\n%s", said)
		}
	}
	return quiet
}

// count asks a process how many requests it has passed on.
func (f *fleet) count(p *process) {
	f.t.Helper()
	got, err := f.web.Get(p.url + "/api/forwards")
	if err != nil {
		f.t.Fatal(err)
	}
	defer got.Body.Close()
	var sum struct{ Forwarded, Directly uint64 }
	if err := json.NewDecoder(got.Body).Decode(&sum); err != nil {
		f.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, got.Body) // so that the connection is used again
	p.forwarded, p.directly = sum.Forwarded, sum.Directly
}

// forwarded returns how many requests were passed on until all were counted last.
func (f *fleet) forwarded() (all, directly uint64) {
	for _, p := range f.all {
		all, directly = all+p.forwarded, directly+p.directly
	}
	return all, directly
}

// living returns the processes that are not about to be killed.
func (f *fleet) living() (list []*process) {
	for i := range f.slots {
		if p := f.slots[i].Load(); !p.doomed.Load() {
			list = append(list, p)
		}
	}
	return list
}

// random returns one of living, of which there always is one.
func (f *fleet) random() *process {
	list := f.living()
	return list[rand.IntN(len(list))]
}

// troubled reports whether some node has said that it gave another one or Redis up,
// without a kill: on a machine that stands still for seconds.
func (f *fleet) troubled() bool {
	for i := range f.slots {
		if f.slots[i].Load().log.trouble() {
			return true
		}
	}
	return false
}

// complaints are the lines that a node writes to its log. They are safe for
// concurrent use.
type complaints struct {
	mu   sync.Mutex
	text bytes.Buffer // all of it but what kills bring with them
	part []byte
}

// expected is what a node says because another one was killed.
const expected = "node cannot be reached at its URL"

// Write implements io.Writer.
func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part = append(c.part, p...)
	for {
		line, rest, whole := bytes.Cut(c.part, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if !bytes.Contains(line, []byte(expected)) && c.text.Len() < 64<<10 {
			c.text.Write(line)
			c.text.WriteByte('\n')
		}
		c.part = bytes.Clone(rest)
	}
}

func (c *complaints) trouble() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Len() > 0
}

// said returns the lines, and whether there is one among them that no node may say,
// whatever becomes of others.
func (c *complaints) said() (text string, bad bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text = c.text.String()
	for line := range strings.Lines(text) {
		isError := strings.Contains(line, "level=ERROR") && !strings.Contains(line, "to Redis")
		bad = bad || isError || strings.Contains(line, "DATA RACE") || strings.Contains(line, "panic")
	}
	return text, bad
}
