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
	program, redis, dir := demo(t), harness.Tool(t, "redis-server"), t.TempDir()
	testcert.Write(t, dir)
	config := filepath.Join(dir, "redis.conf")
	_, addr := harness.StartListening(t, "", func(address string) *exec.Cmd {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		// A user with what a node of the demo needs: its channels, and the register
		// of people. docs/security.md has the rights of a backplane alone.
		text := testcert.RedisConfig(dir, port, "demo on >s:cret &Demo:* ~Demo:* +@connection +@pubsub +@hash +@transaction")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(redis, config)
	}, harness.Listens)
	c := &compose{program: program, redis: "rediss://demo:s%3Acret@" + addr, web: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(c.web.CloseIdleConnections)
	node := func(authority string) (url string, log *harness.Tail) {
		log = &harness.Tail{}
		_, addr := harness.StartListening(t, "", func(address string) *exec.Cmd {
			cmd := exec.Command(program, "-node", address, "-drain", "0s")
			cmd.Env = append(os.Environ(), "REDIS_URL="+c.redis, "SSL_CERT_FILE="+filepath.Join(dir, authority))
			cmd.Stderr = log
			return cmd
		}, harness.Listens)
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
