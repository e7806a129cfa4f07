package angular

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/hubwire/hubwire/internal/npm"
)

// newerNode is what npm installs where the node on PATH is too old.
const newerNode = "24.21.0"

// nodeFor returns a node that can run Angular's compiler.
func nodeFor(ctx context.Context, progress func(step string)) (path string, err error) {
	out, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("node --version: %w", err)
	}
	if runsAngular(string(out)) {
		return exec.LookPath("node")
	}
	progress(fmt.Sprintf("npm brings Node.js %s, Angular does not take %s", newerNode, bytes.TrimSpace(out)))
	system, arch := runtime.GOOS, runtime.GOARCH
	if system == "windows" {
		system = "win"
	}
	if arch == "amd64" {
		arch = "x64"
	}
	folder, err := npm.Package(ctx, "node-"+system+"-"+arch, newerNode)
	return filepath.Join(folder, "bin", "node"), err
}

// runsAngular reports whether Angular supports that version of node: "engines" of
// @angular/cli 22 says ^22.22.3, ^24.15.0 or >=26.0.0.
func runsAngular(version string) bool {
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "v%d.%d.%d", &major, &minor, &patch); err != nil {
		return false
	}
	switch major {
	case 22:
		return minor > 22 || minor == 22 && patch >= 3
	case 24:
		return minor >= 15
	default:
		return major >= 26
	}
}
