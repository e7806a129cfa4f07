package azure

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// An expectation is a test of the clients that fails behind the SDK, and why it
// is right that it does.
type expectation struct {
	Test   string `json:"test"`  // part of its name
	Error  string `json:"error"` // part of what it fails with
	Reason string `json:"reason"`

	used atomic.Bool
}

// expectations are expected.json.
type expectations []*expectation

func loadExpectations(t *testing.T, file string) expectations {
	t.Helper()
	list := harness.ReadJSON[expectations](t, file)
	for _, e := range list {
		if e.Test == "" || e.Error == "" || e.Reason == "" {
			t.Errorf("%s has an entry with an empty member: %q %q %q", file, e.Test, e.Error, e.Reason)
		}
	}
	return list
}

// report reports how a test of the clients ended, as a subtest of that name.
func (list expectations) report(t *testing.T, name string, passed bool, failure string) {
	t.Run(name, func(t *testing.T) {
		for _, e := range list {
			if !strings.Contains(name, e.Test) {
				continue
			}
			e.used.Store(true)
			switch {
			case passed:
				t.Errorf("does not differ any more; take it out of the list (%s)", e.Reason)
			case !strings.Contains(failure, e.Error):
				t.Errorf("differs otherwise than expected (%s):\n%s", e.Reason, failure)
			default:
				t.Logf("differs as expected: %s\n%s", e.Reason, failure)
			}
			return
		}
		if !passed {
			t.Error(failure)
		}
	})
}

// allUsed fails the test if the list has what was not played.
func (list expectations) allUsed(t *testing.T) {
	t.Helper()
	for _, e := range list {
		if !e.used.Load() {
			t.Errorf("the list has what is not played: %q", e.Test)
		}
	}
}
