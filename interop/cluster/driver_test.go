package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// answerTime is how long a driver may take to answer a command. A group change
// that no node acknowledges takes 35 seconds.
const answerTime = 2 * time.Minute

// A command tells a driver to connect a client, to call a method of the hub
// with texts and lists of texts, to list what a client has received, or to stop
// it.
type command struct {
	ID       int    `json:"id"`
	Name     string `json:"command"`
	Client   string `json:"client"`
	URL      string `json:"url,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	User     string `json:"user,omitempty"`
	Method   string `json:"method,omitempty"`
	Args     []any  `json:"args,omitempty"`
}

// An answer has the result of a command, or the text of its error.
type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *string         `json:"error"`
}

// A driver is a process with official clients of one kind. It is safe for
// concurrent use.
type driver struct {
	kind string

	mu      sync.Mutex
	in      io.Writer
	lastID  int
	waiting map[int]chan answer
	broken  error // the driver has ended
}

func startJavaScript(t *testing.T) *driver {
	return startDriver(t, "js", harness.Script(t, harness.Modules(t, "../conformance"), "driver.mjs"))
}

func startDotnet(t *testing.T, release harness.Release) *driver {
	return startDriver(t, "dotnet", exec.Command("dotnet", harness.DotnetProgram(t, "dotnet-driver", release.Property())))
}

func startDriver(t *testing.T, kind string, cmd *exec.Cmd) *driver {
	t.Helper()
	d := &driver{kind: kind, waiting: map[int]chan answer{}}
	d.in = harness.Talk(t, cmd, d.read)
	return d
}

// read hands out the answers until the driver ends.
func (d *driver) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	err := errors.New("the driver has ended")
	for lines.Scan() {
		var a answer
		if jsonErr := json.Unmarshal(lines.Bytes(), &a); jsonErr != nil {
			err = fmt.Errorf("the driver has printed %q: %w", lines.Bytes(), jsonErr)
			break
		}
		d.mu.Lock()
		if c, ok := d.waiting[a.ID]; ok {
			delete(d.waiting, a.ID)
			c <- a
		}
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = err
	for _, c := range d.waiting {
		close(c)
	}
	clear(d.waiting)
}

// do runs a command and decodes its result into the pointer result, unless that
// is nil. The error has the text that the client's user sees.
func (d *driver) do(c command, result any) error {
	done := make(chan answer, 1)
	d.mu.Lock()
	if d.broken != nil {
		d.mu.Unlock()
		return d.broken
	}
	d.lastID++
	c.ID = d.lastID
	d.waiting[c.ID] = done
	line, err := json.Marshal(c)
	if err == nil {
		_, err = d.in.Write(append(line, '\n'))
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case a, ok := <-done:
		switch {
		case !ok:
			return errors.New("the driver has ended")
		case a.Error != nil:
			return errors.New(*a.Error)
		case result == nil:
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-time.After(answerTime):
		return fmt.Errorf("%s has not done %s %s after %v", c.Client, c.Name, c.Method, answerTime)
	}
}
