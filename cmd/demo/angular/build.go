package angular

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hubwire/hubwire/cmd/demo/web"
	"github.com/hubwire/hubwire/internal/npm"
)

// sources is what Angular's compiler needs.
//
//go:embed src angular.json package.json package-lock.json tsconfig.json
var sources embed.FS

// style is that of the plain page; angular.json has it, too.
const style = "style.css"

// Build builds the page and returns the folder of its files, for any path of a
// web server. That folder and the packages are in the user's cache folder, so
// only the first call takes a minute or two, and needs npm's registry. progress
// is called with each step that begins. Build needs node and npm on PATH; where
// that node is too old for Angular, npm installs a newer one. The error has what
// failed and what it printed. A done ctx ends it. It is safe for concurrent use.
func Build(ctx context.Context, progress func(step string)) (dist string, err error) {
	key, err := allOf(sources)
	if err != nil {
		return "", err
	}
	css, err := web.Files.ReadFile(style)
	if err != nil {
		return "", err
	}
	key = append(key, css...)
	folder, err := npm.Cached("angular", key, func(dir string) error {
		progress("npm installs the packages of Angular")
		modules, err := npm.Install(ctx, sources)
		if err != nil {
			return err
		}
		node, err := nodeFor(ctx, progress)
		if err != nil {
			return err
		}
		progress("Angular builds the page")
		return compile(ctx, node, modules, dir, css)
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, "angular", "dist"), nil
}

// compile leaves the files of the page in the angular/dist of dir. The folders lie
// there as they do in the repository.
func compile(ctx context.Context, node, modules, dir string, css []byte) error {
	project, beside := filepath.Join(dir, "angular"), filepath.Join(dir, "web")
	if err := os.CopyFS(project, sources); err != nil {
		return err
	}
	if err := os.Mkdir(beside, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(beside, style), css, 0o644); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(project, "node_modules")); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, node, filepath.Join("node_modules", "@angular", "cli", "bin", "ng.js"), "build", "--progress=false")
	cmd.Dir = project
	cmd.Env = append(os.Environ(), "NG_CLI_ANALYTICS=false")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ng build: %w\n%s", err, out)
	}
	return nil
}

// allOf joins the names and bytes of all files.
func allOf(files fs.FS) (all []byte, err error) {
	err = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		all = fmt.Appendf(all, "%s %d\n%s", path, len(data), data)
		return err
	})
	return all, err
}
