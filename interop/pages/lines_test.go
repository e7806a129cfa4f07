package pages

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// lines returns a function that reads the next line of r, but for those of the
// client's log, and fails the test if it is another one.
func lines(t *testing.T, r io.Reader) (expect func(want string)) {
	scan := bufio.NewScanner(r)
	return func(want string) {
		t.Helper()
		more := scan.Scan()
		for more && strings.HasPrefix(scan.Text(), "[20") {
			more = scan.Scan()
		}
		if !more || scan.Text() != want {
			t.Fatalf("the program printed %q (%v), want %q", scan.Text(), scan.Err(), want)
		}
	}
}
