package harness

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// proxyTime is how long a proxy may take to listen.
const proxyTime = 20 * time.Second

// Proxy starts nginx or haproxy, which tool names, on a free port until the test
// ends, and returns its URL. In config DIR is a folder for its files, and ADDR
// where it is to listen. It skips as Need does.
func Proxy(t testing.TB, tool, config string) string {
	t.Helper()
	program, dir, addr := Tool(t, tool), t.TempDir(), freeAddress(t)
	file := filepath.Join(dir, "config")
	text := strings.NewReplacer("DIR", dir, "ADDR", addr).Replace(config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	Start(t, exec.Command(program, map[string]string{"nginx": "-c", "haproxy": "-f"}[tool], file))
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for end := time.Now().Add(proxyTime); ; <-retry.C {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
			return "http://" + addr
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen on %s: %v", tool, addr, err)
		}
	}
}
