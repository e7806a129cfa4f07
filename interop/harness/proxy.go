package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Proxy starts nginx or haproxy, which tool names, on a free port until the test
// ends, and returns its URL. In config DIR is a folder for its files, and ADDR
// where it is to listen. It skips as Need does.
func Proxy(t testing.TB, tool, config string) string {
	t.Helper()
	program, dir := Tool(t, tool), t.TempDir()
	file := filepath.Join(dir, "config")
	_, addr := StartListening(t, "", func(addr string) *exec.Cmd {
		text := strings.NewReplacer("DIR", dir, "ADDR", addr).Replace(config)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(program, map[string]string{"nginx": "-c", "haproxy": "-f"}[tool], file)
	}, Listens)
	return "http://" + addr
}

// PageProxy starts a proxy as the first block of it below a heading of a page in docs
// configures it, with these nodes for those of the page, 10.0.0.1:8080 and so on, and
// returns its URL. rename are more texts of the block, each with its replacement.
func PageProxy(t testing.TB, page, heading, tool string, nodes []string, rename ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut("\n"+string(text), "\n"+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, block, has := strings.Cut(section, "\n```"+tool+"\n")
	if !found || !has {
		t.Fatalf("docs/%s has no block of %s below %q", page, tool, heading)
	}
	config, _, _ := strings.Cut(block, "```")
	config = strings.NewReplacer(append(rename, "listen 80;", "listen ADDR;", "bind :80", "bind ADDR")...).Replace(config)
	for i, node := range nodes {
		there := fmt.Sprintf("10.0.0.%d:8080", i+1)
		if !strings.Contains(config, there) {
			t.Fatalf("the block of %s in docs/%s below %q has no server %s", tool, page, heading, there)
		}
		config = strings.ReplaceAll(config, there, strings.TrimPrefix(node, "http://"))
	}
	if tool == "nginx" { // a page shows the map, too
		before, _, _ := strings.Cut(NginxConfig(""), "  map ")
		config = before + config + "}\n"
	}
	return Proxy(t, tool, config)
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
