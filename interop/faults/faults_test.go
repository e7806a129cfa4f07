package faults

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// inFlight is how many sends may be lost at the moment of the kill: Redis has
// answered them, but not yet delivered them.
const inFlight = 3

// faultTime is how long one fault may take to be played.
const faultTime = 2 * time.Minute

func TestRestartOfRedisLosesNothingAtTheSendersNode(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s")
	}
	harness.Need(t, "redis-server")
	script, err := filepath.Abs("faults.mjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", script, "back after 2 s")
	cmd.Dir = harness.Modules(t, filepath.Join("..", "conformance"))
	cmd.Env = append(cmd.Environ(), "NODE_COMMAND="+harness.NodeCommand(t))
	out, err := harness.Run(t, cmd, faultTime)
	if err != nil {
		t.Fatalf("faults.mjs: %v\n%s", err, out)
	}
	t.Logf("\n%s", out)
	line := regexp.MustCompile(`(?m)^\| Redis killed.*$`).FindString(string(out))
	if strings.Contains(line, "clients closed") && !strings.Contains(line, " 0 clients closed, 0 twice") {
		t.Errorf("clients were closed, or have received something twice: %s", line)
	}
	cells := strings.Split(strings.TrimPrefix(line, "| "), " | ")
	if len(cells) < 7 {
		t.Fatalf("the table has no line of seven cells: %q", line)
	}
	if lost, err := strconv.Atoi(cells[1]); err != nil || lost > inFlight {
		t.Errorf("%s sends that were done are lost at the sender's own node", cells[1])
	}
	if cells[4] != "0" {
		t.Errorf("%s sends that failed were delivered", cells[4])
	}
}
