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

// NginxConfig returns a configuration of nginx for Proxy with the given http block.
// That has $connection_upgrade, what Connection is in a request that is passed on.
func NginxConfig(http string) string {
	return `daemon off;
master_process off;
pid DIR/pid;
error_log DIR/log;
events {}
http {
  access_log off;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
` + http + "}\n"
}
