package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
)

// watched is what a page is shown of its requests, in lines.
type watched struct {
	lines chan string
	stop  func()
}

// watch watches the requests that have a word, as a page does.
func watch(t *testing.T, balancer, word string) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, balancer+"/requests?watch="+word, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("GET /requests is answered %s", answer.Status)
	}
	w := &watched{lines: make(chan string, 10_000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer answer.Body.Close()
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			var p passage
			data, is := strings.CutPrefix(lines.Text(), "data: ")
			if !is {
				continue
			}
			if err := json.Unmarshal([]byte(data), &p); err != nil {
				t.Errorf("%q: %v", data, err)
			}
			w.lines <- fmt.Sprintf("%d %s %s %s %s %d", p.Number, p.Method, p.What, p.Node, p.Owner, p.Status)
		}
	}()
	w.stop = func() { cancel(); <-ended }
	t.Cleanup(w.stop)
	return w
}

// next returns the next line.
func (w *watched) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-w.lines:
		return line
	case <-time.After(time.Minute):
		t.Fatal("the page is shown nothing for a minute")
	}
	return ""
}

// A page is shown that the requests of one connection go to all nodes.
func TestTheBalancerGivesEachRequestToTheNextNode(t *testing.T) {
	for _, transport := range []string{hubclient.LongPolling, hubclient.ServerSentEvents} {
		t.Run(transport, func(t *testing.T) {
			out := &lines{}
			d := startDemo(t, out, "-angular=off", "-nodes=3")
			balancer := out.waitFor(t, `Any node: (\S+) `)[1]
			if _, page := get(t, d.url1+"/"); !strings.Contains(page, balancer) || strings.Count(page, `class="node"`) != 3 {
				t.Errorf("the page does not know the balancer and three nodes:\n%s", page)
			}
			w, other := watch(t, balancer, "mine"), watch(t, balancer, "other")
			c, err := hubclient.Dial(t.Context(), hubclient.Options{ConnOptions: hubclient.ConnOptions{URL: balancer + "/hub?watch=mine", Transport: transport}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			var person struct{ Node string }
			for range 6 {
				if err := c.Invoke(t.Context(), &person, "Enter", "Alan"); err != nil {
					t.Fatal(err)
				}
			}
			// Each request is told of twice: when it goes to a node, and when that has answered.
			nodes, answered := map[string]bool{}, map[string]bool{}
			for first := true; len(answered) < 3; first = false {
				line := w.next(t)
				if first && !strings.HasPrefix(line, "1 POST negotiate node ") {
					t.Errorf("the first request is %q", line)
				}
				f := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(line, "node ", "node-"), "event stream", "event-stream"))
				nodes[f[3]] = true
				if len(f) < 6 || f[5] == "0" { // no connection yet, or no answer
					continue
				}
				if want := strings.ReplaceAll(person.Node, " ", "-"); f[4] != want || f[5] != "200" {
					t.Errorf("a request: %q; the connection is on %s", line, person.Node)
				}
				answered[f[3]] = true
			}
			c.Close()
			if len(nodes) != 3 {
				t.Errorf("requests went to %v", nodes)
			}
			select {
			case line := <-other.lines:
				t.Errorf("another page is shown %q", line)
			default:
			}
		})
	}
}

func TestTheBalancerPassesAStoppedNodeOver(t *testing.T) {
	out := &lines{}
	d := startDemo(t, out, "-angular=off")
	balancer := out.waitFor(t, `Any node: (\S+) `)[1]
	if status := post(t, d.url2+"/api/nodes/1/stop", d.url1); status != http.StatusNoContent {
		t.Fatalf("stop of node 1: %d", status)
	}
	for range 4 {
		if _, page := get(t, balancer+"/"); !strings.Contains(page, "This page came from node 2.") {
			t.Errorf("the balancer answers\n%s", page)
		}
	}
	for _, word := range []string{"", "taken"} {
		if word != "" {
			watch(t, balancer, word)
		}
		answer, err := http.Get(balancer + "/requests?watch=" + word)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("watch=%q is answered %s", word, answer.Status)
		}
	}
}

// Nodes that do not know each other cannot serve each other's connections.
func TestThereIsNoBalancerWithoutABackplane(t *testing.T) {
	out := &lines{}
	d := startDemo(t, out, "-angular=off", "-backplane=off")
	if _, page := get(t, d.url1+"/"); !strings.Contains(page, `"anyNode": ""`) || strings.Contains(page, "Any node") {
		t.Errorf("the page has the button:\n%s", page)
	}
}

func TestAPageThatDoesNotReadIsNotWaitedFor(t *testing.T) {
	slow := &watcher{passages: make(chan passage, 3)}
	b := &balancer{watchers: map[string]*watcher{"word": slow}}
	first := b.begins("word", passage{Method: http.MethodGet, Node: "node 1"}, "id")
	for range 3 {
		b.begins("word", passage{}, "id")
	}
	first(http.StatusOK) // nobody is told
	for n := 1; ; n++ {
		p, more := <-slow.passages
		if !more {
			break
		}
		if p.Number != n {
			t.Errorf("passage %d has number %d", n, p.Number)
		}
	}
	if len(b.watchers) != 0 {
		t.Error("the page is still told")
	}
}
