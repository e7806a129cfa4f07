package harness

import (
	"os"
	"os/exec"
	"time"
)

const (
	// fetches is how often something is tried that downloads, if it must succeed.
	fetches = 3
	// fetchPause lies between two of them: a registry may be busy for a moment.
	fetchPause = 10 * time.Second
)

// Fetch calls f, which downloads something, until it succeeds, a few times and with
// pauses, and returns its last error. Unless tools are required, it calls f once: that
// fails at once where there is no network, and the test is skipped.
func Fetch(f func() error) error {
	err := f()
	for n := 1; err != nil && n < fetches && toolsRequired(); n++ {
		time.Sleep(fetchPause)
		err = f()
	}
	return err
}

// FetchBy is Fetch by a command that is run in dir. It returns what the last one printed.
func FetchBy(dir string, words ...string) (out []byte, err error) {
	err = Fetch(func() error {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		var err error
		out, err = cmd.CombinedOutput()
		return err
	})
	return out, err
}

// toolsRequired reports whether what is missing is a failure.
func toolsRequired() bool { return os.Getenv("HUBWIRE_REQUIRE_TOOLS") == "1" }
