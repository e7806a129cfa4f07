//go:build linux

package storm

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/server"
)

var (
	clients     = flag.Int("clients", 200, "clients that come at once")
	opening     = flag.Int("opening", 0, "AdmissionOptions.Opening")
	pace        = flag.Float64("persecond", 0, "AdmissionOptions.PerSecond")
	connections = flag.Float64("connections", 0, "AdmissionOptions.ConnectionsPerSecond")
	ways        = flag.String("ways", "without,admission,listener", "what the node has: nothing, an Admission, and its Listener, too; elsewhere: the storm is over another node, on the same machine")
	rounds      = flag.Int("rounds", 1, "how often all of them are measured, in turn")
	aside       = flag.Bool("aside", false, "the clients that come have the lowest priority, as if they ran on another machine")
	first       = flag.Bool("first", false, "the node and its running clients get the processors before all other programs, as if those were on another machine; needs root")
	work        = flag.Duration("work", 5*time.Millisecond, "how long OnConnected takes, as a look into a database does")
	seconds     = flag.Int("seconds", 3, "how long traffic is measured, before and meanwhile; no longer than the storm")
)

// asNode is the variable of the environment that makes this program a node.
const asNode = "HUBWIRE_STORM_NODE"

func TestMain(m *testing.M) {
	flag.Parse()
	if how := os.Getenv(asNode); how != "" {
		if err := serve(how); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}))
}

type stormHub struct{}

// What the node has seen.
var connected, echoed atomic.Int64

// OnConnected is the load: it looks into a database, as it were.
func (stormHub) OnConnected(*server.Call) error {
	<-time.After(*work)
	connected.Add(1)
	return nil
}

func (stormHub) Echo(text string) string {
	echoed.Add(1)
	return text
}

// stats are what the node answers at /stats.
type stats struct {
	Connected, Echoed int64
	Admission         server.AdmissionStats
}

// backlog is for how many clients one listener has room that are not yet accepted.
func backlog() int {
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	n, wrong := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || wrong != nil {
		return 128
	}
	return min(n, 4000)
}

// serve is the node. It writes its addresses, and serves at the first until it is
// killed. At the others the clients of the storm gather; they are accepted from the
// moment that /open is asked for.
func serve(how string) error {
	opts := &server.Options{Logger: slog.New(slog.DiscardHandler)}
	// All clients of a test have one address.
	a := server.NewAdmission(server.AdmissionOptions{Opening: *opening, PerSecond: *pace, ConnectionsPerSecond: *connections, AddressOpening: -1, MaximumWaiting: -1})
	if how != "without" {
		opts.Endpoint.Admission = a
	}
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", server.MustHub(stormHub{}, opts))
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(stats{connected.Load(), echoed.Load(), a.Stats()}) // the test sees what is missing
	})
	var listeners []net.Listener
	var addresses []string
	for range 1 + (*clients+backlog()-1)/backlog() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addresses = append(addresses, l.Addr().String())
		if how == "listener" {
			l = a.Listener(l)
		}
		listeners = append(listeners, l)
	}
	failed := make(chan error, len(listeners))
	mux.HandleFunc("/open", func(http.ResponseWriter, *http.Request) {
		for _, l := range listeners[1:] {
			go func() { failed <- http.Serve(l, mux) }()
		}
	})
	fmt.Println(strings.Join(addresses, " "))
	go func() { failed <- http.Serve(listeners[0], mux) }()
	return <-failed
}

// A figure is what loadgen has measured, in microseconds.
type figure struct {
	Latency *struct{ P50, P99, P999, Max float64 } `json:"latency_us"`
	Parts   []struct {
		From float64 `json:"from_s"`
		P99  float64
	} `json:"latency_parts"`
	Errors  map[string]uint64 `json:"errors"`
	Missing int64             `json:"missing"`
}

// worst returns the p99 of the worst second.
func (f figure) worst() (p99 float64) {
	for _, part := range f.Parts {
		p99 = max(p99, part.P99)
	}
	return p99
}

// Everybody gets in, and running traffic loses nothing. What its latency does is
// measured and not judged: it depends on the machine.
func TestAllClientsOfANodeThatDiedComeInTogether(t *testing.T) {
	harness.Long(t, "takes twenty seconds")
	loadgen := harness.GoProgram(t, "github.com/hubwire/hubwire/cmd/loadgen")
	rows := []string{"| | p50 before, ms | p99 before | p50 during | p99 during | p99.9 | of the worst second | ratio of p99 | half of the clients in after, s | all in after |", "|---|---|---|---|---|---|---|---|---|---|"}
	for range *rounds {
		for _, how := range strings.Split(*ways, ",") {
			t.Run(how, func(t *testing.T) { rows = append(rows, weather(t, loadgen, how)) })
		}
	}
	t.Logf("%d clients at once, OnConnected takes %v\n%s", *clients, *work, strings.Join(rows, "\n"))
}

// weather lets a storm come over a node, and returns its row of the table.
func weather(t *testing.T, loadgen, how string) string {
	addresses := startNode(t, how, *first)
	stormy := addresses
	if how == "elsewhere" { // what the machine, and not the node, does to the latency
		stormy = startNode(t, "listener", false)
	}
	traffic := func() func() figure {
		return figures(t, priority(*first, 2, loadgen), "-mode", "echo", "-c", "20", "-rate", "200", "-settle", "0s", "-warmup", "0s", "-stall", "1m",
			"-duration", fmt.Sprintf("%ds", *seconds), "-every", "1s", "-url", "http://"+addresses[0]+"/hub")
	}
	before := traffic()()
	gather(t, loadgen, stormy[1:])
	running := ask(t, addresses[0], "/stats").Echoed
	during := traffic()
	harness.Await(t, "running calls", time.Minute, func() error {
		if now := ask(t, addresses[0], "/stats"); now.Echoed == running {
			return errors.New("none")
		}
		return nil
	})
	began := time.Now()
	ask(t, stormy[0], "/open")
	want := int64(*clients)
	if how != "elsewhere" {
		want += 40 // traffic came twice
	}
	var half time.Duration
	harness.Await(t, "all clients", 3*time.Minute, func() error {
		now := ask(t, stormy[0], "/stats")
		if half == 0 && want-now.Connected < int64(*clients/2) {
			half = time.Since(began)
		}
		if now.Connected < want {
			return fmt.Errorf("%d of %d", now.Connected, want)
		}
		return nil
	})
	all := time.Since(began)
	meanwhile := during()
	seen := ask(t, stormy[0], "/stats").Admission
	t.Logf("%s: %+v", how, seen)
	if refused := seen.Full + seen.TooLong + seen.Left; refused > 0 {
		t.Errorf("%s: %d clients were refused or left", how, refused)
	}
	if how != "without" && seen.Admitted != uint64(want) {
		t.Errorf("%s: %d clients were let in, want %d", how, seen.Admitted, want)
	}
	was, is := before.Latency, meanwhile.Latency
	return fmt.Sprintf("| %s | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f |", how, was.P50/1000, was.P99/1000,
		is.P50/1000, is.P99/1000, is.P999/1000, meanwhile.worst()/1000, is.P99/was.P99, half.Seconds(), all.Seconds())
}

// priority returns the command so that it comes before all others, and before those
// with a smaller n.
func priority(first bool, n int, command ...string) []string {
	if first {
		command = append([]string{"chrt", "--rr", strconv.Itoa(n)}, command...)
	}
	return command
}

// startNode starts this program as a node and returns its addresses.
func startNode(t *testing.T, how string, first bool) []string {
	t.Helper()
	command := priority(first, 1, os.Args[0], "-clients", strconv.Itoa(*clients), "-opening", strconv.Itoa(*opening), "-persecond", fmt.Sprint(*pace), "-connections", fmt.Sprint(*connections), "-work", work.String())
	node := exec.Command(command[0], command[1:]...)
	node.Env = append(os.Environ(), asNode+"="+how)
	_, addresses := harness.StartUntil(t, node, regexp.MustCompile(`^(127.*)$`), time.Minute)
	return strings.Fields(addresses)
}

// gather lets the clients of the storm connect by TCP, and returns when all of
// them stand at the door: so they come in the same moment however slowly they are
// started.
func gather(t *testing.T, loadgen string, addresses []string) {
	t.Helper()
	command := []string{loadgen}
	if *aside {
		command = []string{"nice", "-n", "19", loadgen}
	}
	for i, address := range addresses {
		n := strconv.Itoa(*clients*(i+1)/len(addresses) - *clients*i/len(addresses))
		cmd := exec.Command(command[0], append(command[1:len(command):len(command)], "-mode", "idle", "-c", n, "-dialers", n, "-duration", "10m", "-url", "http://"+address+"/hub")...)
		harness.Start(t, cmd)
	}
	harness.Await(t, "the clients", time.Minute, func() error {
		if n := standing(t, addresses); n < *clients {
			return fmt.Errorf("%d of %d", n, *clients)
		}
		return nil
	})
}

// standing counts the connections that nobody has accepted.
func standing(t *testing.T, addresses []string) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]bool{}
	for _, address := range addresses {
		ports[fmt.Sprintf("0100007F:%04X", netip.MustParseAddrPort(address).Port())] = true
	}
	const listens = "0A"
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 4 && f[3] == listens && ports[f[1]] {
			_, queued, _ := strings.Cut(f[4], ":")
			standing, err := strconv.ParseInt(queued, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			n += int(standing)
		}
	}
	return n
}

// figures starts loadgen; what it returns waits for its figures.
func figures(t *testing.T, command []string, args ...string) func() figure {
	t.Helper()
	var out bytes.Buffer
	args = append(command[1:], args...)
	cmd := exec.Command(command[0], args...)
	cmd.Stdout = &out
	process := harness.Start(t, cmd)
	return func() (f figure) {
		t.Helper()
		err := process.Wait()
		if decoded := json.Unmarshal(out.Bytes(), &f); err != nil || decoded != nil || f.Missing > 0 || len(f.Errors) > 0 {
			t.Fatalf("loadgen %q: %v\n%s", args, err, out.Bytes())
		}
		return f
	}
}

// ask gets what the node answers at the path, over a connection that is kept.
func ask(t *testing.T, address, path string) (s stats) {
	t.Helper()
	answer, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return s
}
