package deploy

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/internal/testcert"
	"github.com/hubwire/hubwire/interop/harness"
)

// The component redis-tls gives a node nothing but these two variables: an
// address with a password, and who has signed the certificate of Redis.
func TestANodeTrustsTheRedisWhoseAuthorityItIsGiven(t *testing.T) {
	program, dir, addr := demo(t), t.TempDir(), harness.FreeAddress(t)
	testcert.Write(t, dir)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "redis.conf")
	// A user with what a node of the demo needs: its channels, and the register
	// of people. docs/security.md has the rights of a backplane alone.
	text := testcert.RedisConfig(dir, port, "demo on >s:cret &Demo:* ~Demo:* +@connection +@pubsub +@hash +@transaction")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Start(t, exec.Command(harness.Tool(t, "redis-server"), config))
	c := &compose{program: program, redis: "rediss://demo:s%3Acret@" + addr, web: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(c.web.CloseIdleConnections)
	node := func(authority string) (url string, log *harness.Tail) {
		addr, log := harness.FreeAddress(t), &harness.Tail{}
		cmd := exec.Command(program, "-node", addr, "-drain", "0s")
		cmd.Env = append(os.Environ(), "REDIS_URL="+c.redis, "SSL_CERT_FILE="+filepath.Join(dir, authority))
		cmd.Stderr = log
		harness.Start(t, cmd)
		return "http://" + addr, log
	}
	trusting, _ := node("cert.pem")
	await(t, "the node that has the certificate", func() error { return c.ready(t, trusting) })
	doubting, log := node("none.pem")
	await(t, "the other node to say what it does not trust", func() error {
		if text := log.String(); !strings.Contains(text, "x509: certificate signed by unknown authority") {
			return errors.New(text)
		}
		return nil
	})
	if c.ready(t, doubting) == nil {
		t.Error("a node is ready with a Redis whose certificate it cannot check")
	}
}
