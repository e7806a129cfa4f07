package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// poll opens a connection by long polling through random nodes, and returns its URL.
func poll(t *testing.T, url string) string {
	t.Helper()
	var negotiated struct{ ConnectionToken string }
	status, _, text := ask(t, "POST", url+"/hub/negotiate?negotiateVersion=1", "")
	if err := json.Unmarshal([]byte(text), &negotiated); status != 200 || err != nil {
		t.Fatalf("negotiate: %d %s", status, text)
	}
	url += "/hub?id=" + negotiated.ConnectionToken
	if status, _, text := ask(t, "GET", url, ""); status != 200 {
		t.Fatalf("the first poll: %d %s", status, text)
	}
	if status, _, text := ask(t, "POST", url, "{\"protocol\":\"json\",\"version\":1}\x1e"); status != 200 {
		t.Fatalf("the handshake: %d %s", status, text)
	}
	return url
}

func TestNodesOfAFleetPassRequestsOn(t *testing.T) {
	for _, direct := range []string{"false", "true"} {
		t.Run("direct "+direct, func(t *testing.T) {
			url := start(t, "--redis", harness.Redis(t), "--nodes", "2", "--direct", direct)
			connection := poll(t, url)
			var got struct{ Forwarded, Directly, Served uint64 }
			for end := time.Now().Add(time.Minute); ; {
				if status, _, text := ask(t, "POST", connection, "{\"type\":6}\x1e"); status != 200 {
					t.Fatalf("a send: %d %s", status, text)
				}
				_, _, text := ask(t, "GET", url+"/api/forwards", "")
				if err := json.Unmarshal([]byte(text), &got); err != nil {
					t.Fatal(err)
				}
				if got.Directly >= 10 || direct == "false" && got.Forwarded >= 10 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("after a minute: %+v", got)
				}
			}
			if got.Served != got.Forwarded || (got.Directly > 0) != (direct == "true") {
				t.Errorf("forwards: %+v", got)
			}
			if status, _, text := ask(t, "DELETE", connection, ""); status != 202 {
				t.Errorf("the end: %d %s", status, text)
			}
		})
	}
}

func TestAFleetNeedsWhatItsNodesShare(t *testing.T) {
	for _, args := range [][]string{{"--nodes", "2"}, {"--direct", "true", "--redis", "127.0.0.1:1"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("run(%q) succeeds", args)
		}
	}
}

// twoProcesses returns two nodes, and a connection of the first one by its URL at the
// second one, and makes them reach each other directly. No ping answers a poll.
func twoProcesses(t *testing.T) (a, b *harness.Node, atB string) {
	t.Helper()
	if !harness.OwnNode() {
		t.Skip("the node of HUBWIRE_NODE has no --direct")
	}
	command := harness.NodeCommand(t) + " --nodes 2 --direct true --disconnect-timeout-ms 600000 --keepalive-ms 600000 --redis " + harness.Redis(t)
	a, b = harness.StartNode(t, command), harness.StartNode(t, command)
	atB = b.URL + strings.TrimPrefix(poll(t, a.URL), a.URL)
	for end := time.Now().Add(time.Minute); ; {
		if status, _, text := ask(t, "POST", atB, "{\"type\":6}\x1e"); status != 200 {
			t.Fatalf("a send: %d %s", status, text)
		}
		if forwardsOf(t, b).Directly >= 40 { // both nodes of b know the owner: each gets a random half
			return a, b, atB
		}
		if time.Now().After(end) {
			t.Fatalf("after a minute: %+v", forwardsOf(t, b))
		}
	}
}

type forwards struct{ Forwarded, Directly, Served uint64 }

func forwardsOf(t *testing.T, n *harness.Node) (f forwards) {
	t.Helper()
	_, _, text := ask(t, "GET", n.URL+"/api/forwards", "")
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// calls is the text of a call of Echo, which answers with the text.
func calls(text string) string {
	return `{"type":1,"target":"Echo","arguments":["` + text + `"],"invocationId":"` + text + "\"}\x1e"
}

// polls returns what polls bring until they have brought last.
func polls(t *testing.T, connection, last string) (answers string) {
	t.Helper()
	for !strings.Contains(answers, last) {
		status, _, text := ask(t, "GET", connection, "")
		if status != 200 {
			t.Fatalf("a poll: %d %s", status, text)
		}
		answers += text
	}
	return answers
}
