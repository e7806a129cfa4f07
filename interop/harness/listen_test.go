package harness

import (
	"errors"
	"net"
	"os/exec"
	"strings"
	"testing"
)

func TestAProgramThatCannotHaveItsPortIsStartedAgain(t *testing.T) {
	Need(t, "sh", "cat")
	for _, given := range []string{"", "127.0.0.1:1"} {
		t.Run("address "+given, func(t *testing.T) {
			var had []string
			p, at := StartListening(t, given, func(address string) *exec.Cmd {
				if had = append(had, address); len(had) < 3 {
					return exec.Command("sh", "-c", "exit 1")
				}
				cmd := exec.Command("cat")
				if _, err := cmd.StdinPipe(); err != nil { // cat waits for it
					t.Error(err)
				}
				return cmd
			}, func(string) error {
				if len(had) < 3 {
					return errors.New("nothing listens") // as long as the program has not ended
				}
				return nil
			})
			if p.hasEnded() || len(had) != 3 || at != had[2] {
				t.Errorf("the program has ended: %v; it is at %q after %q", p.hasEnded(), at, had)
			}
			if given != "" && strings.Join(had, " ") != strings.Repeat(given+" ", 2)+given {
				t.Errorf("addresses %q, want %s each time", had, given)
			}
		})
	}
}

func TestListensSaysWhetherSomethingListens(t *testing.T) {
	if err := Listens("127.0.0.1:1"); err == nil {
		t.Error("something listens on port 1")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Listens(l.Addr().String()); err != nil {
		t.Error(err)
	}
}

func TestANodeThatCannotHaveItsPortIsStartedAgain(t *testing.T) {
	Need(t, "sh")
	dir := t.TempDir()
	// It ends before it is ready, the first time.
	command := scriptedNode(t, `mkdir `+dir+`/first 2>/dev/null && exit 1; trap 'exit 0' TERM; echo "READY $2"; while :; do sleep 0.05; done`)
	n := StartNodeAt(t, "", command, "--go", "http://ADDR")
	if !strings.HasPrefix(n.URL, "http://127.0.0.1:") {
		t.Errorf("URL = %q", n.URL)
	}
	if again := StartNodeAt(t, strings.TrimPrefix(n.URL, "http://"), command); again.URL != n.URL {
		t.Errorf("URL = %q at the address %q", again.URL, n.URL)
	}
}
