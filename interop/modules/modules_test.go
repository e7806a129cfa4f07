package modules

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// testTime bounds the build and the tests of a module.
const testTime = 10 * time.Minute

func TestTheHubWorksBehindRouters(t *testing.T) { testModule(t, "interop/routers") }

func TestClientsAndServersOfPhilippseithWorkWithOurs(t *testing.T) {
	testModule(t, "interop/philippseith")
}

func TestLoadgenMeasuresThePeers(t *testing.T) { testModule(t, "interop/peers") }

// A module that this package does not know would not be tested.
func TestEveryModuleIsTestedHere(t *testing.T) {
	const root = "../.."
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.Name() == "go.mod" {
			dir, err := filepath.Rel(root, filepath.Dir(path))
			found = append(found, filepath.ToSlash(dir))
			return err
		}
		return nil
	})
	if want := []string{".", "interop/peers", "interop/philippseith", "interop/routers"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("modules %q, %v; want %q", found, err, want)
	}
}

// testModule vets a module and runs its tests, with the race detector if this
// test has it.
func testModule(t *testing.T, module string) {
	harness.Long(t, "builds another module")
	dir := filepath.Join("..", "..", filepath.FromSlash(module))
	if out, err := harness.FetchBy(dir, "go", "mod", "download"); err != nil {
		harness.Missing(t, "modules of %s: %v\n%s", module, err, out)
	}
	test := append(append([]string{"test"}, harness.BuildFlags()...), "-count=1", "./...")
	for _, words := range [][]string{{"vet", "./..."}, test} {
		cmd := exec.Command("go", words...)
		cmd.Dir = dir
		harness.Output(t, cmd, testTime)
	}
}
