package npm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func TestAFolderIsMadeOncePerKeyAndOnlyWhenItIsWhole(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	made := 0
	fill := func(dir string) error {
		made++
		return os.WriteFile(filepath.Join(dir, "made"), nil, 0o644)
	}
	first, err := Cached("kind", []byte("1"), fill)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(first, "made")); err != nil {
		t.Error(err)
	}
	if again, err := Cached("kind", []byte("1"), fill); err != nil || again != first || made != 1 {
		t.Errorf("the second time: %q, %v after %d; want %q after 1", again, err, made, first)
	}
	if other, err := Cached("kind", []byte("2"), fill); err != nil || other == first || made != 2 {
		t.Errorf("another key: %q, %v after %d; want a new folder after 2", other, err, made)
	}
	fails := errors.New("no registry")
	if _, err := Cached("kind", []byte("3"), func(string) error { return fails }); !errors.Is(err, fails) {
		t.Errorf("one that fails: %v", err)
	}
	// Another process is first.
	late, err := Cached("kind", []byte("4"), func(string) error {
		_, err := Cached("kind", []byte("4"), fill)
		return err
	})
	if _, statErr := os.Stat(filepath.Join(late, "made")); err != nil || statErr != nil {
		t.Errorf("the later of two: %v, %v", err, statErr)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(first), "making-*")); len(left) > 0 {
		t.Errorf("folders left behind: %v", left)
	}
}

func TestInstallNeedsALockFile(t *testing.T) {
	project := fstest.MapFS{"package.json": {Data: []byte("{}")}}
	if _, err := Install(context.Background(), project); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Install = %v, want ErrNotExist", err)
	}
}
