package peers_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Every peer is one that loadgen can measure.
func TestLoadgenMeasuresEveryPeer(t *testing.T) {
	dir := t.TempDir()
	build := func(folder, what string) {
		cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), what)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", what, err, out)
		}
	}
	build("../..", "./cmd/loadgen")
	for peer, loads := range map[string][]string{
		"floor":        {"-mode echo -depth 4", "-mode connect", "-mode broadcast -depth 4", "-mode groups -groups 2 -depth 4", "-protocol raw -mode echo", "-protocol raw -mode broadcast"},
		"philippseith": {"-mode echo", "-mode echo -protocol messagepack"},
		"centrifuge":   {"-protocol centrifuge -mode echo -depth 4", "-protocol centrifuge -mode broadcast"},
	} {
		t.Run(peer, func(t *testing.T) {
			build(".", "./"+peer)
			url := start(t, filepath.Join(dir, peer))
			for _, load := range loads {
				args := append(strings.Fields(load), "-c", "4", "-url", url+"/hub", "-warmup", "0", "-settle", "0", "-duration", "50ms", "-stall", "1m")
				// It fails where something that it has sent is missing or wrong.
				out, err := exec.Command(filepath.Join(dir, "loadgen"), args...).Output()
				if err != nil {
					t.Errorf("loadgen %s: %v\n%s", load, err, out)
				}
			}
		})
	}
}

// start starts a peer for the test and returns its URL.
func start(t *testing.T, program string) string {
	cmd := exec.Command(program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // the test has failed if it has ended
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ready := strings.CutPrefix(lines.Text(), "READY "); ready {
			return url
		}
	}
	t.Fatalf("%s is not ready: %v", program, lines.Err())
	return ""
}
