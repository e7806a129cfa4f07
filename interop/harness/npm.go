package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Modules returns a folder with the npm packages that the package-lock.json of
// dir names, in its node_modules. The folder lies in the user's cache folder
// under a name that is a hash of the lock file, so that "npm ci" runs once per
// lock file and the repository stays clean. It needs node and npm, and skips
// as Need does if the packages cannot be installed.
//
// A script finds the packages by the working directory:
//
//	const require = createRequire(process.cwd() + "/");
func Modules(t testing.TB, dir string) string {
	t.Helper()
	Need(t, "node", "npm")
	folder, err := modules(dir, npmCI)
	if err != nil {
		Missing(t, "npm packages of %s: %v", dir, err)
	}
	return folder
}

// modules is Modules with the installer as an argument.
func modules(dir string, install func(dir string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return "", err
	}
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(append(append(manifest, 0), lock...))
	parent := filepath.Join(cache, "hubwire", "npm")
	folder := filepath.Join(parent, hex.EncodeToString(hash[:12]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	// A folder appears under its name only when it is complete: another test
	// process may look for it at the same time.
	tmp, err := os.MkdirTemp(parent, "installing-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	for name, data := range map[string][]byte{"package.json": manifest, "package-lock.json": lock} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o644); err != nil {
			return "", err
		}
	}
	if err := install(tmp); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, folder); err != nil {
		if _, statErr := os.Stat(folder); statErr == nil { // the other process was first
			return folder, nil
		}
		return "", err
	}
	return folder, nil
}

// npmCI installs exactly what the lock file names. A lock file that was written
// where a registry has not the packages of every platform is refused by "npm
// ci"; "npm install" takes it, with the versions that it names.
func npmCI(dir string) error {
	out, err := npm(dir, "ci")
	if err != nil && strings.Contains(string(out), "in sync") {
		out, err = npm(dir, "install")
	}
	if err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		return fmt.Errorf("npm ci: %w", fs.ErrNotExist)
	}
	return nil
}

func npm(dir, command string) ([]byte, error) {
	cmd := exec.Command("npm", command, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	cmd.Dir = dir
	return cmd.CombinedOutput()
}
