package harness

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"
)

// Screenshots returns an empty folder for the pictures of a test: name, in the
// folder that HUBWIRE_ARTIFACTS says or else in the artifacts folder at the root
// of the repository. It outlives the test, so that CI can keep it and a person
// can look. The test runs two folders below the root, as all of interop do.
func Screenshots(t testing.TB, name string) string {
	t.Helper()
	artifacts := cmp.Or(os.Getenv("HUBWIRE_ARTIFACTS"), filepath.Join(root, "artifacts"))
	dir := Abs(t, filepath.Join(artifacts, name))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
