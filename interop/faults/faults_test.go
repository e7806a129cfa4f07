package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

const (
	// faultTime is how long one fault may take to be played.
	faultTime = 3 * time.Minute
	// replays bounds how often a fault is played again that has cost too much.
	replays = 3
	// unknown is how many sends may be delivered although they have failed:
	// they were written, and the connection was lost before the answer.
	unknown = 10
	// The bounds of docs/redis.md are a second and five; the rest is for a machine
	// that has other work.
	wholeAgain  = 4.0 // seconds
	slowestSend = 9.0 // seconds
)

// A row is a line of the table.
type row struct {
	lostAtHome, lostElsewhere, failed, failedButDelivered int
	slowest, whole                                        float64 // seconds
	refused, closed, twice                                int
}

// A fault has bounds of what is different in each: a subscriber that was
// disconnected has lost what was on its way.
type fault struct {
	name                  string
	failed, lostElsewhere int
}

// played are the faults of CI.
var played = []fault{
	{"Redis down at start, there after 2 s", 0, 0},
	{"Redis killed, back after 0.1 s", 20, 20},
	{"Redis killed, back after 2 s", 20, 20},
	{"`CLIENT KILL TYPE pubsub`", 20, 20},
	{"`CLIENT PAUSE 3000 ALL`", 0, 0},
	{"output buffer limit of the subscribers hit", 20, 20},
	{"sender's node cut off for 12 s", 1300, 20},
	{"other node cut off for 12 s", 0, 0}, // late, but not lost
}

func TestAFaultOfRedisCostsNoMoreThanTheTableSays(t *testing.T) {
	harness.Long(t, "takes half a minute")
	harness.Need(t, "redis-server")
	modules, command := harness.Modules(t, filepath.Join("..", "conformance")), harness.NodeCommand(t)
	dear := make([][]string, len(played)) // what is more than may be
	t.Run("side by side", func(t *testing.T) {
		for i, fault := range played {
			t.Run(fault.name, func(t *testing.T) {
				t.Parallel()
				dear[i] = fault.play(t, modules, command)
			})
		}
	})
	// On a machine that has other work a node or Redis may come back too late for bounds
	// that are times, or depend on them. What is too much each time is no accident.
	for i, fault := range played {
		if dear[i] == nil {
			continue
		}
		t.Run(fault.name+", alone", func(t *testing.T) {
			for range replays {
				t.Logf("played again: %q", dear[i])
				if dear[i] = fault.play(t, modules, command); dear[i] == nil {
					return
				}
			}
			t.Errorf("%q", dear[i])
		})
	}
}

// play plays the fault and says what it has cost more than it may. What must not be,
// however slow the machine is, fails the test.
func (f fault) play(t *testing.T, modules, command string) (dear []string) {
	t.Helper()
	r := measure(t, modules, command, f.name)
	for what, n := range map[string]int{
		"sends that were done are lost at the sender's own node": r.lostAtHome,
		"clients were disconnected":                              r.closed,
		"messages were received twice":                           r.twice,
	} {
		if n > 0 {
			t.Errorf("%d %s", n, what)
		}
	}
	for what, over := range map[string]int{
		"sends that were done are lost at the other node": r.lostElsewhere - f.lostElsewhere,
		"sends have failed":                     r.failed - f.failed,
		"sends have failed, but were delivered": r.failedButDelivered - unknown,
	} {
		if over > 0 {
			dear = append(dear, fmt.Sprintf("more %s than may be: %d", what, over))
		}
	}
	if r.whole > wholeAgain {
		dear = append(dear, fmt.Sprintf("the cluster was whole again only after %v s", r.whole))
	}
	if r.slowest > slowestSend {
		dear = append(dear, fmt.Sprintf("a send has taken %v s", r.slowest))
	}
	return dear
}

// measure plays one fault and returns its line.
func measure(t *testing.T, modules, command, name string) row {
	t.Helper()
	cmd := harness.Script(t, modules, "faults.mjs", name)
	cmd.Env = append(os.Environ(), "NODE_COMMAND="+command)
	out := harness.Output(t, cmd, faultTime)
	t.Logf("\n%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 {
		t.Fatalf("a table of %d lines, want 3", len(lines))
	}
	cells, ok := strings.CutPrefix(lines[2], "| "+name+" |")
	if !ok {
		t.Fatalf("the line is of another fault: %s", lines[2])
	}
	var r row
	if _, err := fmt.Sscanf(cells, " %d | %d | %d | %d | %f s | %f s | %d, %d | %d |", &r.lostAtHome, &r.lostElsewhere,
		&r.failed, &r.failedButDelivered, &r.slowest, &r.whole, &r.refused, &r.closed, &r.twice); err != nil {
		t.Fatalf("the cells %q: %v", cells, err)
	}
	return r
}
