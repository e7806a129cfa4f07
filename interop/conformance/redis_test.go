package conformance

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

func TestTwoNodesAreOnRedisWhatTwoOfASPNETCoreAre(t *testing.T) {
	cluster(t, func(t *testing.T) (a, b string) {
		command := harness.NodeCommand(t)
		return command, command
	})
}

// In a mixed cluster every operation is played from node A to clients of node
// B, so both orders are needed.

func TestOurNodeAndAnASPNETCoreNodeAreOneCluster(t *testing.T) {
	t.Parallel()
	for _, release := range harness.Releases {
		t.Run(string(release), func(t *testing.T) {
			cluster(t, func(t *testing.T) (a, b string) { return harness.NodeCommand(t), harness.ReferenceNode(t, release) })
		})
	}
}

func TestAnASPNETCoreNodeAndOurNodeAreOneCluster(t *testing.T) {
	t.Parallel()
	for _, release := range harness.Releases {
		t.Run(string(release), func(t *testing.T) {
			cluster(t, func(t *testing.T) (a, b string) { return harness.ReferenceNode(t, release), harness.NodeCommand(t) })
		})
	}
}

// cluster plays every operation of a hub on two nodes with one Redis, without
// and with ChannelPrefix, and compares each step's results, commands and
// payloads with those of two ASP.NET Core nodes. Nothing may differ.
//
// The recorder waits fixed times for what Redis and clients see. On a machine that
// is busy something may come too late, so a cluster that differs is recorded again,
// alone, and each time with longer waits. What differs in the same way then is no
// chance, and is not worth another attempt.
func cluster(t *testing.T, commands func(t *testing.T) (a, b string)) {
	harness.Long(t, "takes minutes")
	t.Parallel()
	s := suite{recorder: "redis", modules: harness.Modules(t, ".")}
	s.command, s.nodeB = commands(t)
	var before []byte
	for attempt := 1; ; attempt++ {
		out, err := s.playCluster(t, attempt)
		t.Logf("attempt %d:\n%s", attempt, out)
		if err == nil {
			return
		}
		if again := attempt > 2 && bytes.Equal(out, before); again || attempt == attempts {
			t.Fatalf("the cluster differs from ASP.NET Core's: %v", err)
		}
		before = out
	}
}

// playCluster records the cluster on a Redis of its own and returns what
// compare-redis.mjs says. From the second attempt on nothing else is played
// meanwhile, and the waits are so many times as long.
func (s suite) playCluster(t *testing.T, attempt int) ([]byte, error) {
	t.Helper()
	if attempt > 1 {
		playing.Lock()
		defer playing.Unlock()
	} // else playing is not held: the recorder waits most of the time
	_, port, err := net.SplitHostPort(harness.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	recording, err := s.node(t, script(t, "redis.mjs"), port, strconv.Itoa(attempt))
	if err != nil {
		t.Fatalf("redis.mjs: %v", err)
	}
	t.Logf("recorded in %v", time.Since(start).Round(time.Second))
	got := filepath.Join(t.TempDir(), "redis.json")
	if err := os.WriteFile(got, recording, 0o644); err != nil {
		t.Fatal(err)
	}
	return s.node(t, script(t, "compare-redis.mjs"), script(t, "recordings/redis.json"), got)
}

func TestEveryCapturedRedisPayloadIsUnderstood(t *testing.T) {
	out := harness.Output(t, harness.Script(t, ".", "vectors.mjs"), time.Minute)
	want, err := os.ReadFile("recordings/redis-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != string(want) {
		t.Error("vectors.mjs does not print recordings/redis-vectors.json")
	}
}
