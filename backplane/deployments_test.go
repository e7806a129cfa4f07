package backplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/internal/testcert"
	"github.com/hubwire/hubwire/internal/testport"
)

// eventually retries f until it succeeds. Sentinels and clusters tell nobody when
// they are complete.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func TestTLSWithAnACLUserByURL(t *testing.T) {
	t.Parallel()
	needRedis(t)
	dir, port := t.TempDir(), testport.Hold(t)
	pool := testcert.Write(t, dir)
	url := "rediss://hubwire:s%3Acret@127.0.0.1:" + port
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.TLSConfig.RootCAs = pool
	config := filepath.Join(dir, "redis.conf")
	text := testcert.RedisConfig(dir, port, "hubwire on >s:cret &BlogApp:* +@connection +@pubsub")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, config)
	a := nodeOn(t, redis.NewClient(options), Options{ChannelPrefix: "BlogApp:SignalR:"})
	b := nodeOn(t, redis.NewClient(options), Options{ChannelPrefix: "BlogApp:SignalR:"})
	ready(t, a, b)
	_, c2 := client(t, a, "c1", ""), client(t, b, "c2", "")
	if err := a.AddToGroup(t.Context(), "c2", "g"); err != nil {
		t.Fatal(err)
	}
	if err := a.Send(t.Context(), toGroups("g"), message("x")); err != nil {
		t.Fatal(err)
	}
	expectOnly(t, a, map[*fakeClient][]string{c2: {"x"}})
	// A node that may not use its channels says so, and is never ready.
	denied := nodeOn(t, redis.NewClient(options), Options{ChannelPrefix: "Other:", PublishTimeout: 200 * time.Millisecond})
	client(t, denied, "c", "")
	refused(t, denied, "NOPERM")
	if err := denied.Send(t.Context(), toAll(), message("x")); !says(err, "NOPERM") {
		t.Errorf("SendAll = %v, want the cause", err)
	}
	if h := denied.Health(); h.State != Connecting || !says(h.Err, "NOPERM") {
		t.Errorf("health %+v, want connecting, and NOPERM", h)
	}
}

// admin is a client of Redis that belongs to no node.
func admin(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	needRedis(t)
	masterPort, replicaPort := testport.Hold(t), testport.Hold(t)
	server := func(port string, args ...string) (kill func()) {
		return launch(t, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(), "--repl-diskless-sync-delay", "0"}, args...)...)
	}
	killMaster := server(masterPort)
	server(replicaPort, "--replicaof", "127.0.0.1 "+masterPort)
	var sentinels []string
	for range 3 {
		port := testport.Hold(t)
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %s 2\nsentinel down-after-milliseconds main 60000\nsentinel failover-timeout main 3000\n",
			port, filepath.Dir(file), masterPort)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		launch(t, file, "--sentinel")
		sentinels = append(sentinels, "127.0.0.1:"+port)
	}
	for _, s := range sentinels { // each knows the replica and the other two
		eventually(t, "sentinels", func() error {
			info, err := admin(t, s).Info(t.Context(), "sentinel").Result()
			if err == nil && !strings.Contains(info, "slaves=1,sentinels=3") {
				err = fmt.Errorf("%s", info)
			}
			return err
		})
	}
	client1 := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: sentinels})
	client2 := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: sentinels})
	a, b := nodeOn(t, client1, Options{}), nodeOn(t, client2, Options{})
	ready(t, a, b)
	c := client(t, b, "c", "alice")
	if err := a.AddToGroup(t.Context(), "c", "g"); err != nil {
		t.Fatal(err)
	}
	whole(t, a, c, "g")
	started := time.Now()
	readyAfter(t, func() {
		for _, s := range sentinels { // not earlier: a master that is slow for a moment is not dead
			succeed(t, admin(t, s).Do(t.Context(), "sentinel", "set", "main", "down-after-milliseconds", "500").Err())
		}
		killMaster()
	}, a, b)
	t.Logf("both nodes are ready %v after the master was killed", time.Since(started).Round(time.Millisecond))
	whole(t, a, c, "g")
}

func TestClusterOfThree(t *testing.T) {
	t.Parallel()
	addrs := startCluster(t).addrs
	client1 := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	client2 := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs})
	a, b := nodeOn(t, client1, Options{}), nodeOn(t, client2, Options{})
	ready(t, a, b)
	c1, c2 := client(t, a, "c1", "alice"), client(t, b, "c2", "alice")
	for _, err := range []error{a.AddToGroup(t.Context(), "c1", "g"), a.AddToGroup(t.Context(), "c2", "g"), b.AddToGroup(t.Context(), "c1", "h")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		for _, err := range []error{
			a.Send(t.Context(), toGroups("g"), message("g")), b.Send(t.Context(), toGroups("h"), message("h")), b.Send(t.Context(), toUsers("alice"), message("u")),
			a.Send(t.Context(), toConnections("c2"), message("c")), b.Send(t.Context(), toAll(), message("all")),
		} {
			if err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
		}
	}
	for range 80 {
		c1.next(t)
		c2.next(t)
	}
}
