package conformance

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// backplaneExists says whether interop/node knows --redis. Until it does, the
// recorder and the comparison are held against the reference node, so that
// they are known to work.
const backplaneExists = false

func TestRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes; not with -short")
	}
	t.Parallel()
	modules, redis := harness.Modules(t, "."), harness.Redis(t)
	var command string
	if backplaneExists || !harness.OwnNode() {
		command = harness.NodeCommand(t)
	} else {
		command = harness.ReferenceNode(t)
	}
	s := suite{recorder: "redis", modules: modules, command: command}
	_, port, err := net.SplitHostPort(redis)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	recording, err := s.node(t, script(t, "redis.mjs"), port)
	if err != nil {
		t.Fatalf("redis.mjs: %v", err)
	}
	t.Logf("recorded in %v", time.Since(start).Round(time.Second))
	got := filepath.Join(t.TempDir(), "redis.json")
	if err := os.WriteFile(got, recording, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := s.node(t, script(t, "compare-redis.mjs"), script(t, "recordings/redis.json"), got)
	if err != nil {
		t.Errorf("the cluster differs from ASP.NET Core's: %v\n%s", err, out)
	}
}

func TestEveryCapturedRedisPayloadIsUnderstood(t *testing.T) {
	cmd := exec.Command(harness.Tool(t, "node"), "vectors.mjs")
	out, err := harness.Run(t, cmd, time.Minute)
	if err != nil {
		t.Fatalf("vectors.mjs: %v", err)
	}
	want, err := os.ReadFile("recordings/redis-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != string(want) {
		t.Error("vectors.mjs does not print recordings/redis-vectors.json")
	}
}
