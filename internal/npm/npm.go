// Package npm installs npm packages once, into the user's cache folder, so that
// the repository stays clean. Its functions may be called concurrently, and by
// several processes.
package npm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Install returns a folder with the packages that the package-lock.json in
// project names, in its node_modules. Its name is a hash of package.json and
// package-lock.json: npm runs once for each of them. It needs node and npm.
func Install(ctx context.Context, project fs.FS) (folder string, err error) {
	manifest, err := fs.ReadFile(project, "package.json")
	if err != nil {
		return "", err
	}
	lock, err := fs.ReadFile(project, "package-lock.json")
	if err != nil {
		return "", err
	}
	return Cached("npm", append(append(manifest, 0), lock...), func(dir string) error {
		for name, data := range map[string][]byte{"package.json": manifest, "package-lock.json": lock} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				return err
			}
		}
		return ci(ctx, dir)
	})
}

// Package returns the folder of one package, which is installed by itself: a
// program, not a part of a project.
func Package(ctx context.Context, name, version string) (folder string, err error) {
	project := fmt.Sprintf(`{"private": true, "dependencies": {%q: %q}}`, name, version)
	folder, err = Cached("npm", []byte(project), func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(project), 0o644); err != nil {
			return err
		}
		if out, err := run(ctx, dir, "install"); err != nil {
			return fmt.Errorf("npm install %s: %w\n%s", name, err, out)
		}
		return nil
	})
	return filepath.Join(folder, "node_modules", name), err
}

// Cached returns the folder of the user's cache that make has filled once for
// what key says. Folders of one kind lie side by side. A folder appears under
// its name only when it is complete, so a process that comes at the same time
// sees a whole one or makes one too.
func Cached(kind string, key []byte, make func(dir string) error) (folder string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(key)
	parent := filepath.Join(cache, "hubwire", kind)
	folder = filepath.Join(parent, hex.EncodeToString(hash[:12]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, "making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := make(dir); err != nil {
		return "", err
	}
	if err := os.Rename(dir, folder); err != nil {
		if _, statErr := os.Stat(folder); statErr != nil {
			return "", err
		} // else another process was first
	}
	return folder, nil
}

// ci installs exactly what the lock file names. A lock file that was written
// where a registry has not the packages of every platform is refused by "npm
// ci"; "npm install" takes it, with the versions that it names.
func ci(ctx context.Context, dir string) error {
	out, err := run(ctx, dir, "ci")
	if err != nil && strings.Contains(string(out), "in sync") {
		out, err = run(ctx, dir, "install")
	}
	if err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		return fmt.Errorf("npm ci: %w", fs.ErrNotExist)
	}
	return nil
}

func run(ctx context.Context, dir, command string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "npm", command, "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error")
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // npm ends what it has begun
	cmd.WaitDelay = 10 * time.Second
	return cmd.CombinedOutput()
}
