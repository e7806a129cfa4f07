package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

const key = "a secret of 32 bytes or more, for tests"

// start makes a node and returns it behind a server in memory.
func start(t *testing.T, env map[string]string) *hubtest.Node {
	t.Helper()
	a, err := newApp(func(name string) string {
		if name == "JWT_KEY" {
			return key
		}
		return env[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { _ = a.hub.Shutdown(context.Background()) }) // hubtest has closed its clients
	if a.bus != nil {
		if err := a.bus.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return hubtest.Serve(t, a.node.Server.Handler)
}

func as(t *testing.T, user string, roles ...string) hubtest.Option {
	t.Helper()
	token, err := newToken(key, user, roles...)
	if err != nil {
		t.Fatal(err)
	}
	return hubtest.Header("Authorization", "Bearer "+token)
}

func connect(n *hubtest.Node, opts ...hubtest.Option) *hubtest.Client {
	return n.Connect(append(opts, hubtest.At("/blog"))...)
}

func TestACommentReachesThoseWhoReadThePost(t *testing.T) {
	n := start(t, nil)
	alice, bob, carol := connect(n, as(t, "alice")), connect(n, hubtest.Over(server.LongPolling)), connect(n)
	bob.Do("Read", 42)
	carol.Do("Read", 43)
	alice.Do("Comment", 42, "well said")
	bob.Expect("Commented", 42, "alice", "well said")
	carol.ExpectNone()
	if err := bob.Invoke(nil, "Comment", 42, "me too"); err == nil {
		t.Error("a reader without a name has commented")
	}
}

func TestOnlyAuthorsPublishAndAllNodesTellTheirClients(t *testing.T) {
	env := map[string]string{"REDIS_URL": "redis://" + miniredis.RunT(t).Addr()}
	node1, node2 := start(t, env), start(t, env)
	c1, c2 := connect(node1), connect(node2)
	for role, want := range map[string]int{"": http.StatusForbidden, authorRole: http.StatusAccepted} {
		token, err := newToken(key, "alice", role)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest("POST", node1.URL()+"/api/posts/42/publish", strings.NewReader(url.Values{"title": {"What a hub is"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := node1.HTTPClient().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("with the role %q publish is answered %d, want %d", role, response.StatusCode, want)
		}
	}
	c1.Expect("PostPublished", 42, "What a hub is")
	c2.Expect("PostPublished", 42, "What a hub is")
}

func TestTheMetricsCountConnections(t *testing.T) {
	n := start(t, nil)
	connect(n).Do("Read", 42)
	response, err := n.HTTPClient().Get(n.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(text), "\nsignalr_server_active_connections{") {
		t.Errorf("/metrics: %v\n%s", err, text)
	}
}

func TestSettingsThatAreMissingAreAnError(t *testing.T) {
	if _, err := newApp(func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "JWT_KEY") {
		t.Errorf("without AUTHORITY and JWT_KEY: %v", err)
	}
}
