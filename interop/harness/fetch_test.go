package harness

import (
	"errors"
	"testing"
	"testing/synctest"
)

func TestWhatDownloadsIsTriedAgainWhereToolsAreRequired(t *testing.T) {
	for _, tt := range []struct {
		name, required string
		fails, calls   int
		failed         bool
	}{
		{name: "required, and fails twice", required: "1", fails: 2, calls: 3},
		{name: "required, and always fails", required: "1", fails: 9, calls: 3, failed: true},
		{name: "required, and succeeds", required: "1", calls: 1},
		{name: "not required", fails: 1, calls: 1, failed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HUBWIRE_REQUIRE_TOOLS", tt.required)
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := Fetch(func() error {
					if calls++; calls <= tt.fails {
						return errors.New("no registry")
					}
					return nil
				})
				if calls != tt.calls || (err != nil) != tt.failed {
					t.Errorf("Fetch = %v after %d calls, want %d and an error %v", err, calls, tt.calls, tt.failed)
				}
			})
		})
	}
}
