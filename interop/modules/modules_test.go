package modules

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// testTime bounds the build and the tests of a module.
const testTime = 10 * time.Minute

func TestTheHubWorksBehindRouters(t *testing.T) {
	if testing.Short() {
		t.Skip("builds another module; not with -short")
	}
	dir, err := filepath.Abs("../routers")
	if err != nil {
		t.Fatal(err)
	}
	fetch := exec.Command("go", "mod", "download")
	fetch.Dir = dir
	if out, err := fetch.CombinedOutput(); err != nil {
		harness.Missing(t, "modules of %s: %v\n%s", dir, err, out)
	}
	for _, words := range [][]string{{"vet", "./..."}, {"test", "-count=1", "./..."}} {
		cmd := exec.Command("go", words...)
		cmd.Dir = dir
		if out, err := harness.Run(t, cmd, testTime); err != nil {
			t.Fatalf("go %s: %v\n%s", words[0], err, out)
		}
	}
}
