package harness

import (
	"os"
	"testing"

	"github.com/hubwire/hubwire/internal/npm"
)

// Modules returns a folder with the npm packages that the package-lock.json of
// dir names, in its node_modules. It is in the user's cache folder: see
// npm.Install. It needs node and npm, and skips as Need does if the packages
// cannot be installed.
//
// A script finds the packages by the working directory:
//
//	const require = createRequire(process.cwd() + "/");
func Modules(t testing.TB, dir string) string {
	t.Helper()
	Need(t, "node", "npm")
	var folder string
	err := Fetch(func() (err error) {
		folder, err = npm.Install(t.Context(), os.DirFS(dir))
		return err
	})
	if err != nil {
		Missing(t, "npm packages of %s: %v", dir, err)
	}
	return folder
}
