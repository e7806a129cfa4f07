package harness

import (
	"testing"
	"time"
)

// Long skips a test with -short, and says why it is not short, as "takes a minute".
func Long(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip(why + "; not with -short")
	}
}

// Await calls f until it returns nil, for what tells nobody when it is ready, as
// another process. After limit the test ends with what was waited for and f's error.
func Await(t testing.TB, what string, limit time.Duration, f func() error) {
	t.Helper()
	if err := poll(limit, f); err != nil {
		t.Fatalf("waited for %s: %v", what, err)
	}
}

// poll is Await that returns f's last error.
func poll(limit time.Duration, f func() error) error {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for end := time.Now().Add(limit); ; <-retry.C {
		if err := f(); err == nil || time.Now().After(end) {
			return err
		}
	}
}
