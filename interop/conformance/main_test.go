package conformance

import (
	"os"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

func TestMain(m *testing.M) {
	harness.TestsWait()
	os.Exit(m.Run())
}
