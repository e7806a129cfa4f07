package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// built returns the folder of the user's cache that has what build makes of
// sources with this hash. It is built once: build gets the names of a folder for
// whatever it needs and of the one for its result; neither exists yet.
func built(kind, hash string, build func(from, to string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(cache, "hubwire", kind)
	folder := filepath.Join(parent, hash)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	// A folder appears under its name only when it is complete: another test
	// process may look for it at the same time.
	tmp, err := os.MkdirTemp(parent, "building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	to := filepath.Join(tmp, "to")
	if err := build(filepath.Join(tmp, "from"), to); err != nil {
		return "", err
	}
	if err := os.Rename(to, folder); err != nil {
		if _, statErr := os.Stat(folder); statErr != nil {
			return "", err
		}
		// Another process was first.
	}
	return folder, nil
}

// sourceFiles are files by their path in the project.
type sourceFiles map[string][]byte

// readSources reads the files below dir whose names end in one of these ways,
// but for those in bin and obj.
func readSources(dir string, extensions ...string) (sourceFiles, error) {
	sources := sourceFiles{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "bin" || entry.Name() == "obj") {
			return fs.SkipDir
		}
		if !slices.Contains(extensions, filepath.Ext(path)) {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sources[name], err = os.ReadFile(path)
		return err
	})
	return sources, err
}

// hash returns a name for these sources on this platform, together with what
// else the result of a build depends on.
func (s sourceFiles) hash(more ...string) string {
	var names []string
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	hash := sha256.New()
	fmt.Fprintf(hash, "%s/%s\n", runtime.GOOS, runtime.GOARCH)
	for _, one := range more {
		fmt.Fprintf(hash, "%q\n", one)
	}
	for _, name := range names {
		// A hash takes everything: it has no error to return.
		fmt.Fprintf(hash, "%q %d\n%s", filepath.ToSlash(name), len(s[name]), s[name])
	}
	return hex.EncodeToString(hash.Sum(nil)[:12])
}

func (s sourceFiles) copy(to string) error {
	for name, data := range s {
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
