package angular

import (
	"context"
	"errors"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

func TestABuildThatIsStoppedLeavesNothing(t *testing.T) {
	harness.Need(t, "node", "npm")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	steps := 0
	dist, err := Build(ctx, func(string) { steps++ })
	if dist != "" || !errors.Is(err, context.Canceled) || steps != 1 {
		t.Errorf("Build = %q, %v after %d steps; want context.Canceled after 1", dist, err, steps)
	}
}
