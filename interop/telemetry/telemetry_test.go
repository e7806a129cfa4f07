package telemetry

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/interop/harness"
)

// shutdowns are the steps in which the node ends.
func shutdowns() map[string]func(*player) {
	return map[string]func(*player){
		"app shutdown: WebSockets, SSE and long polling are open": func(p *player) {
			for _, transport := range []string{hubclient.WebSockets, hubclient.ServerSentEvents, hubclient.LongPolling} {
				c := p.connect("/hub", clientOptions{transport: transport})
				defer c.Close()
				synctest.Wait()
			}
			p.node.stop(p.t)
		},
		"app shutdown: a call is running": func(p *player) {
			c := p.raw("/hub", rawOptions{})
			c.send(call("Slow", "x", 400))
			synctest.Wait()
			p.node.stop(p.t)
			c.ended()
		},
	}
}

// listeners are the steps on nodes where something is not traced.
var listeners = map[string]struct {
	node nodeOptions
	play func(*player)
}{
	"listeners: only SignalR":                             {nodeOptions{onlySignalR: true}, one("/hub", rawOptions{negotiate: true}, call("Work"))},
	"listeners: only SignalR, traceparent in the upgrade": {nodeOptions{onlySignalR: true}, one("/hub", rawOptions{negotiate: true, header: headers("traceparent", parent(driverHTTP, "01"))}, call("Work"))},
	"listeners: all but SignalR":                          {nodeOptions{allButSignalR: true}, one("/hub", rawOptions{negotiate: true}, call("Work"))},
}

// A difference is a step that differs.
type difference struct {
	Step   string   `json:"step"`
	Reason string   `json:"reason"`
	Lines  []string `json:"lines"` // "-": only the recording has it, "+": only our node
}

func loadDifferences(t *testing.T) map[string]difference {
	t.Helper()
	all := map[string]difference{}
	for _, d := range harness.ReadJSON[[]difference](t, "testdata/differences.json") {
		if d.Reason == "" || all[d.Step].Step != "" {
			t.Errorf("differences.json: %s has no reason, or is there twice", d.Step)
		}
		all[d.Step] = d
	}
	return all
}

// compare fails the test unless got differs from the recording exactly as it is
// said to.
func compare(t *testing.T, r *recording, s *step, got facts, said difference) {
	t.Helper()
	lines := got.differences(r.facts(s), len(s.Unstable) > 0)
	for _, line := range lacks(lines, said.Lines, "") {
		t.Errorf("differs: %s", line)
	}
	for _, line := range lacks(said.Lines, lines, "") {
		t.Errorf("does not differ any more, take it out of differences.json:%s", line)
	}
}

const dotnetStep = ".NET client: "

func TestOurHubsMeasureAndTraceWhatASPNETCoreDoes(t *testing.T) {
	r, differ := loadRecording(t), loadDifferences(t)
	steps := map[string]func(*player){}
	for _, some := range []map[string]func(*player){connections(), handshakes(), long(), everyTransport(), requests(), calls(), streams(), names(), traces(), refreshes(), shutdowns()} {
		maps.Copy(steps, some)
	}
	options := map[string]nodeOptions{}
	for name, l := range listeners {
		steps[name], options[name] = l.play, l.node
	}
	for _, s := range r.Steps {
		play := steps[s.Step]
		delete(steps, s.Step)
		if strings.HasPrefix(s.Step, dotnetStep) {
			continue // see TestTheDotnetClientFindsWhatASPNETCoreTraces
		}
		t.Run(s.Step, func(t *testing.T) {
			if play == nil {
				t.Fatal("nobody plays it")
			}
			synctest.Test(t, func(t *testing.T) {
				compare(t, r, s, playStep(t, options[s.Step], play), differ[s.Step])
			})
		})
		delete(differ, s.Step)
	}
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		t.Errorf("the recording has no step %q", name)
	}
	for name := range differ {
		if !strings.HasPrefix(name, dotnetStep) {
			t.Errorf("differences.json: there is no step %q", name)
		}
	}
}
