package backplane

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/internal/testport"
)

// A redisCluster is three masters.
type redisCluster struct {
	addrs          []string
	user, password string // of nodes
}

func startCluster(t *testing.T) *redisCluster {
	t.Helper()
	needRedis(t)
	c := &redisCluster{}
	for i := range 3 {
		port, bus := testport.Hold(t), testport.Hold(t)
		addr := "127.0.0.1:" + port
		launch(t, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(),
			// No test wants one of them to fail: none is to be taken for failed because it is slow.
			"--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "60000")
		c.addrs = append(c.addrs, addr)
		succeed(t, admin(t, addr).ClusterAddSlotsRange(t.Context(), i*16384/3, (i+1)*16384/3-1).Err())
		for _, earlier := range c.addrs[:i] { // all of them: gossip may take seconds
			succeed(t, admin(t, earlier).Do(t.Context(), "cluster", "meet", "127.0.0.1", port, bus).Err())
		}
	}
	for _, addr := range c.addrs {
		eventually(t, "cluster", func() error {
			info, err := admin(t, addr).ClusterInfo(t.Context()).Result()
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3")) {
				err = fmt.Errorf("%s", info)
			}
			return err
		})
	}
	return c
}

// client implements place: it is one of the first master.
func (c *redisCluster) client(change ...func(*redis.Options)) *redis.Client {
	return clientAt(c.addrs[0], change)
}

// clusterClient returns what a node uses.
func (c *redisCluster) clusterClient() redis.UniversalClient {
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.addrs, Username: c.user, Password: c.password})
}

// do runs a command of the test's own on each master, and returns the answers.
func (c *redisCluster) do(t *testing.T, args ...any) (answers []string) {
	t.Helper()
	for _, addr := range c.addrs {
		answer, err := admin(t, addr).Do(t.Context(), args...).Result()
		succeed(t, err)
		answers = append(answers, fmt.Sprint(answer))
	}
	return answers
}

// withRights gives nodes a user that has the rights which docs/security.md names,
// and no others. It wants nothing to be refused until the test has ended.
func (c *redisCluster) withRights(t *testing.T) {
	t.Helper()
	for _, command := range documented(t, rightsOfEveryNode, rightsOfOptions, rightsInACluster) {
		c.do(t, command...)
	}
	c.user, c.password = "blog", "PASSWORD"
}

// refused wants Redis to have refused nothing to the nodes.
func (c *redisCluster) refused(t *testing.T) {
	t.Helper()
	for i, log := range c.do(t, "acl", "log") {
		if log != "[]" {
			t.Errorf("master %d has refused: %s", i, log)
		}
	}
}

// All that AnyNode, Presence and Sessions do on a Redis Cluster, with the rights that
// docs/security.md names.
func TestEverythingWorksOnACluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.withRights(t)
	const prefix = "BlogApp:SignalR:"
	hub := func(name string) Options { return Options{ChannelPrefix: prefix, HubName: "App." + name} }
	for _, w := range []way{overRedis, directly} {
		for _, transport := range transports {
			t.Run(fmt.Sprint("any node, ", w, ", ", transport), func(t *testing.T) {
				newFleet(t, c, w, 3, hub(string(w)+transport), patient).converses(t, transport)
			})
		}
		t.Run(fmt.Sprint("polls of dead nodes, ", w), func(t *testing.T) {
			newFleet(t, c, w, 3, hub(string(w)+"polls"), patient).losesPolls(t)
		})
	}
	t.Run("presence", func(t *testing.T) { everyNodeSees(t, c, hub("Seen")) })
	t.Run("sessions", func(t *testing.T) { aSessionComesBack(t, c, hub("Kept")) })
	c.refused(t)
}

// What a Redis Cluster answers to PUBLISH is no use: it is how many hear the message by
// way of the node of Redis that was asked, and others hear it, too.
func TestAClusterCountsTheSubscribersOfOneOfItsNodes(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	heard := admin(t, c.addrs[0]).Subscribe(t.Context(), "channel")
	defer heard.Close()
	_, err := heard.Receive(t.Context())
	succeed(t, err)
	for i, addr := range c.addrs {
		n, err := admin(t, addr).Publish(t.Context(), "channel", addr).Result()
		succeed(t, err)
		if want := map[int]int64{0: 1}[i]; n != want {
			t.Errorf("PUBLISH on master %d = %d, want %d", i, n, want)
		}
		m, err := heard.ReceiveMessage(t.Context())
		succeed(t, err)
		if m.Payload != addr {
			t.Errorf("heard %q, want %q", m.Payload, addr)
		}
	}
}

func TestOnAClusterAConnectionThatHasEndedIsUnknown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, startCluster(t), overRedis, 3, Options{}, patient)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		path := f.pollOn(t, 0, "alice")
		f.pinned.Store(0)
		if status, body := f.ask(t, "DELETE", path, "alice", ""); status != 202 {
			t.Fatalf("the end: %d %s", status, body)
		}
		empty(t, f.hubs...)
		f.pinned.Store(1)
		if status, body := f.ask(t, method, path, "alice", ""); status != 404 || body != "No Connection with that ID" {
			t.Errorf("%s after the end: %d %q", method, status, body)
		}
	}
	alone := tokenHub(t, nil, everything) // what is negotiated and not begun is unknown to nobody
	r := httptest.NewRequest(http.MethodPost, "/chat?id="+negotiateAs(t, alone, "/chat", "?negotiateVersion=1", "alice").token, strings.NewReader("text"))
	r.Header.Set("X-User", "alice")
	want := httptest.NewRecorder()
	alone.ServeHTTP(want, r)
	if status, body := f.ask(t, "POST", "/chat?id="+f.negotiate(t, "alice"), "alice", "text"); status != want.Code || body != want.Body.String() {
		t.Errorf("a send before the first poll: %d %q, on one node %d %q", status, body, want.Code, want.Body)
	}
}
