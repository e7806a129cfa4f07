package harness

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// PythonPackages returns a folder with the packages of dir/requirements.txt,
// for PYTHONPATH. It is in the user's cache folder under a name that is a
// hash of that file and of Python's version. It needs python3 with its venv
// module, and skips as Need does if the packages cannot be installed.
func PythonPackages(t testing.TB, dir string) string {
	t.Helper()
	python := Tool(t, "python3")
	version, err := exec.Command(python, "--version").Output()
	if err != nil {
		t.Fatalf("%s --version: %v", python, err)
	}
	sources, err := readSources(dir, ".txt")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := built("python-packages", sources.hash(string(version)), func(from, to string) error {
		if err := sources.copy(from); err != nil {
			return err
		}
		return pipInstall(python, from, to)
	})
	if errors.Is(err, errPackages) {
		Missing(t, "packages of %s: %v", dir, err)
	}
	if err != nil {
		t.Fatalf("install the packages of %s: %v", dir, err)
	}
	return folder
}

// pipInstall installs by the pip of an environment of its own: the system's
// Python may have none.
func pipInstall(python, from, to string) error {
	env := filepath.Join(from, "env")
	for _, words := range [][]string{
		{python, "-m", "venv", env},
		{filepath.Join(env, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--target", to, "--requirement", filepath.Join(from, "requirements.txt")},
	} {
		if out, err := FetchBy(from, words...); err != nil {
			return fmt.Errorf("%w: %v: %w\n%s", errPackages, words[1:3], err, out)
		}
	}
	return nil
}
