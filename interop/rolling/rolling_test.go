package rolling

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	nodes = 3
	// startTime is how long the clients may take to connect, and a node to be
	// given requests by the proxy.
	startTime = 2 * time.Minute
	// requestTime is how long one request may take.
	requestTime = 30 * time.Second
	// noNodeTime is how long the proxy may say that there is no node: as long as
	// all of them were late with their health checks.
	noNodeTime = 10 * time.Second
	// perProgram is how many JavaScript clients a program has: it has one thread.
	perProgram = 30
)

// A size is how large a restart is played.
type size struct {
	js, dotnet, java int           // clients
	rounds           int           // how often each node is restarted
	notice, spread   time.Duration // of the drains; zero: the defaults
	inter            string        // between two health checks
	anyNode          bool          // each request goes to any node, and the clients have sessions
	pause            time.Duration // between two sends, and between two calls of a client
}

// small is for CI. HUBWIRE_ROLLING=full plays what docs/rolling-restart.md shows.
func sizeOf(t *testing.T) size {
	if os.Getenv("HUBWIRE_ROLLING") == "full" {
		return size{js: 180, dotnet: 80, java: 40, rounds: 2, inter: "1s", pause: 500 * time.Millisecond}
	}
	return size{js: 10, dotnet: 4, java: 2, rounds: 1, notice: 1500 * time.Millisecond, spread: time.Second, inter: "400ms", pause: 100 * time.Millisecond}
}

// What a client has seen. The programs of all languages print it.
type seen struct {
	Kind     string   // of the client: language, transport, protocol
	Received int      // ticks
	Last     int      // tick
	Lost     int      // ticks, between two connections
	Gaps     int      // reconnects
	Longest  int      // of the gaps, until the client was in its group again, in milliseconds
	Calls    int      // that were answered
	Failed   int      // calls, because the connection ended
	Cuts     []string // why connections ended that the server did not close
	Over     bool     // a tick has come that was sent after all restarts
	Wrong    []string // what must not be
}

func TestClientsOfAllKindsLiveThroughARollingRestart(t *testing.T) {
	harness.Long(t, "starts clients of three languages")
	size := sizeOf(t)
	fleet := startFleet(t, "haproxy", size)
	commands := javaScript(t, fleet.url, size)
	play(t, fleet, size, append(commands, dotnet(t, fleet.url, size), java(t, fleet.url, size))...)
}

// What pods that are deleted one after the other behind a balancer without affinity
// cost users everywhere: groups, and requests at the wrong pod. Here the clients join
// once, and each of their requests goes to whichever node is next.
func TestClientsWithSessionsKeepTheirGroupsBehindABalancerWithoutAffinity(t *testing.T) {
	harness.Long(t, "starts Node")
	size := size{js: 10, rounds: 1, notice: 1500 * time.Millisecond, spread: time.Second, inter: "400ms", pause: 100 * time.Millisecond}
	if os.Getenv("HUBWIRE_ROLLING") == "full" {
		size.js, size.rounds, size.notice, size.spread, size.inter, size.pause = 200, 2, 0, 0, "1s", 500*time.Millisecond
	}
	size.anyNode = true
	fleet := startFleet(t, "haproxy without affinity", size)
	play(t, fleet, size, javaScript(t, fleet.url, size)...)
}

// nginx finds out by the 503 of a negotiate that a node drains: there need be no
// health checks, and no notice.
func TestClientsLiveThroughARollingRestartBehindAProxyWithoutHealthChecks(t *testing.T) {
	harness.Long(t, "starts Node")
	size := size{js: 10, rounds: 1, notice: -1, spread: time.Second, pause: 100 * time.Millisecond}
	fleet := startFleet(t, "nginx", size)
	play(t, fleet, size, javaScript(t, fleet.url, size)...)
}

// play restarts all nodes while the clients of the commands live.
func play(t *testing.T, fleet *fleet, size size, commands ...*exec.Cmd) {
	t.Helper()
	var all []*program
	for _, cmd := range commands {
		all = append(all, startClients(t, cmd))
	}
	for _, p := range all {
		p.await(t)
	}
	stop := fleet.tick(t, size.pause)
	begin := time.Now()
	for round := range size.rounds {
		for i := range fleet.nodes {
			took := fleet.restart(t, i)
			t.Logf("round %d: node %d ended in %v", round+1, i+1, took.Round(10*time.Millisecond))
		}
	}
	took := time.Since(begin)
	fleet.over.Store(true) // who receives a tick from now on is in its group on a new node
	var clients []seen
	for _, p := range all {
		clients = append(clients, p.end(t)...)
	}
	sent := stop()
	if want := size.js + size.dotnet + size.java; len(clients) != want {
		t.Errorf("%d clients say what they have seen, want %d", len(clients), want)
	}
	for _, c := range clients {
		check(t, c)
	}
	t.Logf("%d restarts in %v, %d ticks, %d clients\n%s", nodes*size.rounds, took.Round(time.Second), sent, len(clients), table(clients))
}

// check reports what must not be of a client.
func check(t *testing.T, c seen) {
	t.Helper()
	switch {
	case len(c.Wrong) > 0:
		t.Errorf("%s: %q", c.Kind, c.Wrong)
	case !c.Over:
		t.Errorf("%s has received nothing after the restarts, the last tick was %d: it is not in its group", c.Kind, c.Last)
	case c.Gaps == 0:
		t.Errorf("%s was never restarted", c.Kind)
	case len(c.Cuts) > 0 && !strings.Contains(c.Kind, "LongPolling"): // a poll may come too late on a slow machine
		t.Errorf("%s was not told to reconnect, but cut: %q", c.Kind, c.Cuts)
	case c.Failed > c.Gaps:
		t.Errorf("%s: %d calls failed in %d gaps", c.Kind, c.Failed, c.Gaps)
	}
}

// table sums up the clients of each kind.
func table(clients []seen) string {
	var b strings.Builder
	b.WriteString("| clients | kind | reconnects | longest gap, ms | ticks received | lost in gaps | calls answered | calls failed |\n|---|---|---|---|---|---|---|---|\n")
	slices.SortStableFunc(clients, func(a, b seen) int { return cmp.Compare(a.Kind, b.Kind) })
	for len(clients) > 0 {
		n := 0
		sum := seen{Kind: clients[0].Kind}
		for ; n < len(clients) && clients[n].Kind == sum.Kind; n++ {
			c := clients[n]
			sum.Gaps += c.Gaps
			sum.Longest = max(sum.Longest, c.Longest)
			sum.Received += c.Received
			sum.Lost += c.Lost
			sum.Calls += c.Calls
			sum.Failed += c.Failed
		}
		fmt.Fprintf(&b, "| %d | %s | %d | %d | %d | %d | %d | %d |\n", n, sum.Kind, sum.Gaps, sum.Longest, sum.Received, sum.Lost, sum.Calls, sum.Failed)
		clients = clients[n:]
	}
	return b.String()
}

// A program has clients of one language.
type program struct {
	name  string
	in    io.Closer
	ready chan struct{} // closed by the line READY
	seen  chan []seen   // when the program has ended
}

func javaScript(t *testing.T, url string, size size) (commands []*exec.Cmd) {
	t.Helper()
	modules := harness.Modules(t, ".")
	for left := size.js; left > 0; left -= perProgram {
		args := size.args(url, min(left, perProgram))
		if size.anyNode {
			args = append(args, "sessions")
		}
		commands = append(commands, harness.Script(t, modules, "clients.mjs", args...))
	}
	return commands
}

// args are those of each program.
func (s size) args(url string, count int) []string {
	return []string{url, strconv.Itoa(count), strconv.FormatInt(s.pause.Milliseconds(), 10)}
}

func dotnet(t *testing.T, url string, size size) *exec.Cmd {
	t.Helper()
	harness.Dotnet(t)
	return exec.Command("dotnet", append([]string{harness.DotnetProgram(t, "dotnet")}, size.args(url, size.dotnet)...)...)
}

func java(t *testing.T, url string, size size) *exec.Cmd {
	t.Helper()
	classes := harness.JavaProgram(t, "java", "signalr=9.0.3")
	return exec.Command(harness.Tool(t, "java"), append([]string{"-cp", classes, "Main"}, size.args(url, size.java)...)...)
}

func startClients(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{name: filepath.Base(cmd.Path), ready: make(chan struct{}), seen: make(chan []seen, 1)}
	p.in = harness.Talk(t, cmd, func(out io.Reader) {
		var all []seen
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var one seen
			switch line := lines.Bytes(); {
			case string(line) == "READY":
				close(p.ready)
			case json.Unmarshal(line, &one) == nil:
				all = append(all, one)
			}
		}
		p.seen <- all
	})
	return p
}

// await waits until all clients are connected.
func (p *program) await(t *testing.T) {
	t.Helper()
	select {
	case <-p.ready:
	case all := <-p.seen:
		t.Fatalf("%s has ended before its clients were connected: %v", p.name, all)
	case <-time.After(startTime):
		t.Fatalf("the clients of %s are not connected after %v", p.name, startTime)
	}
}

// end ends the clients, and returns what they have seen.
func (p *program) end(t *testing.T) []seen {
	t.Helper()
	if err := p.in.Close(); err != nil {
		t.Error(err)
	}
	select {
	case all := <-p.seen:
		return all
	case <-time.After(startTime):
		t.Errorf("%s has not ended after %v", p.name, startTime)
		return nil
	}
}

// A fleet is nodes behind a proxy, with a Redis.
type fleet struct {
	url   string // of the hub, at the proxy
	proxy string
	nodes []*harness.Node
	args  []string // of each node but its address
	build string   // the program of a node
	web   *http.Client
	over  atomic.Bool // all restarts are over
}

func startFleet(t *testing.T, proxy string, size size) *fleet {
	t.Helper()
	f := &fleet{build: harness.GoProgram(t, "./node", harness.BuildFlags()...), web: &http.Client{Transport: &http.Transport{}, Timeout: requestTime}}
	t.Cleanup(f.web.CloseIdleConnections)
	f.args = []string{"-redis", harness.Redis(t), "-notice", size.notice.String(), "-spread", size.spread.String()}
	if size.anyNode {
		f.args = append(f.args, "-any")
	}
	var addresses []string
	for range nodes {
		n := harness.StartNode(t, f.build, f.args...)
		f.nodes = append(f.nodes, n)
		addresses = append(addresses, strings.TrimPrefix(n.URL, "http://"))
	}
	tool, _, _ := strings.Cut(proxy, " ")
	f.proxy = harness.Proxy(t, tool, configOf(proxy, addresses, size.inter))
	f.url = f.proxy + "/hub"
	return f
}

// restart ends node i as Kubernetes would, starts it again, and waits until the
// proxy gives it requests. It returns how long the end took.
func (f *fleet) restart(t *testing.T, i int) time.Duration {
	t.Helper()
	begin := time.Now()
	f.nodes[i].Stop()
	took := time.Since(begin)
	want := strings.TrimPrefix(f.nodes[i].URL, "http://")
	f.nodes[i] = harness.StartNodeAt(t, want, f.build, f.args...)
	harness.Await(t, "requests from the proxy at "+want, startTime, func() error {
		answer, err := f.web.Get(f.proxy + "/api/who")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		who, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || string(who) != want {
			return fmt.Errorf("%s from %q, %v", answer.Status, who, err)
		}
		return nil
	})
	return took
}

// tick begins to send 1, 2, 3, ... to all clients, one after the other, through
// the proxy; once f.over is set, negated. The function that it returns ends that,
// and returns the last one.
func (f *fleet) tick(t *testing.T, every time.Duration) (stop func() int) {
	ctx, cancel := context.WithCancel(t.Context())
	last := make(chan int, 1)
	go func() {
		pause := time.NewTicker(every)
		defer pause.Stop()
		n := 1
		for ; ctx.Err() == nil; n++ {
			if f.over.Load() {
				f.send(ctx, t, -n)
			} else {
				f.send(ctx, t, n)
			}
			<-pause.C
		}
		last <- n - 1
	}()
	return func() int {
		cancel()
		return <-last
	}
}

// send sends a tick. A 503 is of the proxy, which has given the tick to no node. Once
// ctx is done, nobody waits for the tick any more.
func (f *fleet) send(ctx context.Context, t *testing.T, n int) {
	for end := time.Now().Add(noNodeTime); ; time.Sleep(50 * time.Millisecond) {
		status, err := f.sendOnce(n)
		if err == nil || ctx.Err() != nil {
			return
		}
		if status != http.StatusServiceUnavailable || time.Now().After(end) {
			t.Errorf("tick %d: %v", n, err)
			return
		}
		t.Logf("tick %d is sent again: %v", n, err)
	}
}

// sendOnce returns the status, 0 if there is none, and an error unless it is 200.
func (f *fleet) sendOnce(n int) (status int, err error) {
	answer, err := f.web.Post(fmt.Sprint(f.proxy, "/api/tick?n=", n), "", nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return answer.StatusCode, fmt.Errorf("answered %s %q, %v", answer.Status, text, err)
	}
	return answer.StatusCode, nil
}
