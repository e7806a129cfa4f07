package harness

import (
	"flag"
	"runtime"
	"strconv"
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

// waitingTests is how many parallel tests run for each CPU where they mostly wait.
const waitingTests = 2

// TestsWait lets more of a package's parallel tests run at once than there are CPUs,
// because they mostly wait for clients that wait. -parallel says otherwise. It is for
// TestMain.
func TestsWait() {
	if err := flag.Set("test.parallel", strconv.Itoa(waitingTests*runtime.GOMAXPROCS(0))); err != nil {
		panic(err) // the testing package has no such flag any more
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
