package transport

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

// A suite runs the tests of the package and then looks at every change of state
// that they have made: each must be in the tables of state.go, and each row of
// the tables must have been reached.
type suite struct{ m *testing.M }

// steps are what onStep was called with.
var steps struct {
	mu        sync.Mutex
	rows      map[string]bool
	forbidden []string
}

func (s suite) Run() int {
	steps.rows = map[string]bool{}
	onStep = recordStep
	code := s.m.Run()
	steps.mu.Lock()
	defer steps.mu.Unlock()
	for _, step := range steps.forbidden {
		fmt.Fprintln(os.Stderr, step)
		code = 1
	}
	if code != 0 || !wholeSuite() {
		return code
	}
	for _, row := range tableRows() {
		if !steps.rows[row] {
			fmt.Fprintf(os.Stderr, "state.go has a row that no test reaches: %s\n", row)
			code = 1
		}
	}
	return code
}

// wholeSuite reports whether all tests have run.
func wholeSuite() bool {
	for _, name := range []string{"test.run", "test.skip", "test.bench", "test.fuzz", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}

func recordStep(from, to state) {
	steps.mu.Lock()
	defer steps.mu.Unlock()
	if !from.mayBecome(to) {
		steps.forbidden = append(steps.forbidden, fmt.Sprintf("forbidden change of state, from %v to %v\n%s", from, to, debug.Stack()))
		return
	}
	for _, row := range rowsOf(from, to) {
		steps.rows[row] = true
	}
}

// rowsOf names the rows of the tables that a step uses.
func rowsOf(from, to state) (rows []string) {
	if from.link != to.link {
		rows = append(rows, fmt.Sprintf("link %v -> %v", from.link, to.link))
	}
	if from.app != to.app {
		rows = append(rows, fmt.Sprintf("app %v -> %v", from.app, to.app))
	}
	return append(rows, fmt.Sprintf("together %v", to))
}

// tableRows names all rows of the tables, but the state in which every
// connection begins.
func tableRows() (rows []string) {
	for link := range linkState(len(linkNext)) {
		for to := range linkState(len(linkNext)) {
			if linkNext[link]>>to&1 == 1 {
				rows = append(rows, fmt.Sprintf("link %v -> %v", link, to))
			}
		}
		for app := range appState(len(appNext)) {
			if s := (state{link, app}); together[link]>>app&1 == 1 && s != (state{}) {
				rows = append(rows, fmt.Sprintf("together %v", s))
			}
		}
	}
	for app := range appState(len(appNext)) {
		for to := range appState(len(appNext)) {
			if appNext[app]>>to&1 == 1 {
				rows = append(rows, fmt.Sprintf("app %v -> %v", app, to))
			}
		}
	}
	return rows
}

func TestTheEndIsNeverLeftAndEveryStateHasAWayToIt(t *testing.T) {
	reaches := func(next []uint8, over func(int) bool) {
		for from := range next {
			seen, todo := map[int]bool{}, []int{from}
			for len(todo) > 0 {
				at := todo[0]
				if todo = todo[1:]; seen[at] {
					continue
				}
				seen[at] = true
				for to := range next {
					if next[at]>>to&1 == 1 {
						todo = append(todo, to)
					}
				}
			}
			ends := 0
			for at := range seen {
				if over(at) {
					ends++
				}
			}
			if ends == 0 || over(from) && len(seen) != 1 {
				t.Errorf("from state %d of %d the states %v are reached", from, len(next), seen)
			}
		}
	}
	reaches(linkNext[:], func(s int) bool { return linkState(s).over() })
	reaches(appNext[:], func(s int) bool { return appState(s).over() })
}

func TestAForbiddenStepIsNotTakenAndLogged(t *testing.T) {
	var log strings.Builder
	conns, _ := sinks(1)
	c := conns[0]
	c.endpoint.log = slog.New(slog.NewTextHandler(&log, nil))
	before := onStep
	onStep = nil // this one is deliberate
	defer func() { onStep = before }()
	c.mu.Lock()
	c.stepLocked(linkClosed, appRunning)
	c.stepLocked(linkServing, appRunning)
	got := c.state
	c.mu.Unlock()
	if want := (state{linkClosed, appRunning}); got != want {
		t.Errorf("state = %v, want %v", got, want)
	}
	c.endpoint.logForbidden()
	c.endpoint.logForbidden()
	if n := strings.Count(log.String(), "forbidden change of state"); n != 1 || !strings.Contains(log.String(), "from=closed+running to=serving+running") {
		t.Errorf("log = %s", log.String())
	}
}
