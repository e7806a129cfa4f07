//go:build linux

package storm

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/server"
)

var (
	clients = flag.Int("clients", 200, "clients that come at once")
	opening = flag.Int("opening", 0, "AdmissionOptions.Opening")
	pace    = flag.Float64("persecond", 0, "AdmissionOptions.PerSecond")
	aside   = flag.Bool("aside", false, "the clients that come have the lowest priority, as if they ran on another machine")
	work    = flag.Duration("work", 5*time.Millisecond, "how long OnConnected takes, as a look into a database does")
	seconds = flag.Int("seconds", 3, "how long traffic is measured, before and meanwhile")
)

// asNode is the variable of the environment that makes this program a node.
const asNode = "HUBWIRE_STORM_NODE"

func TestMain(m *testing.M) {
	flag.Parse()
	if how := os.Getenv(asNode); how != "" {
		if err := serve(how == "admission"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

type stormHub struct{}

// OnConnected is the load: it looks into a database, as it were.
func (stormHub) OnConnected(*server.Call) error { <-time.After(*work); return nil }

func (stormHub) Echo(text string) string { return text }

// serve is the node: it writes its address, and serves until it is killed.
func serve(admission bool) error {
	opts := &server.Options{Logger: slog.New(slog.DiscardHandler)}
	var a *server.Admission
	if admission {
		// All clients of a test have one address.
		a = server.NewAdmission(server.AdmissionOptions{Opening: *opening, PerSecond: *pace, AddressOpening: -1, MaximumWaiting: -1})
		opts.Endpoint.Admission = a
	}
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", server.MustHub(stormHub{}, opts))
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		stats := server.AdmissionStats{}
		if a != nil {
			stats = a.Stats()
		}
		_ = json.NewEncoder(w).Encode(stats) // the test sees what is missing
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, mux)
}

// A figure is what loadgen has measured.
type figure struct {
	Latency *struct{ P50, P99 float64 } `json:"latency_us"`
	Connect *struct{ P50, Max float64 } `json:"connect_us"`
	Errors  map[string]uint64           `json:"errors"`
	Missing int64                       `json:"missing"`
}

// Everybody gets in, and running traffic loses nothing. What its latency does is
// measured and not judged: it depends on the machine.
func TestAllClientsOfANodeThatDiedComeInTogether(t *testing.T) {
	harness.Long(t, "takes twenty seconds")
	loadgen := harness.GoProgram(t, "github.com/hubwire/hubwire/cmd/loadgen")
	rows := []string{"| | p50 before, ms | p99 before, ms | p50 during, ms | p99 during, ms | half of the clients in after, ms | all in after, ms |", "|---|---|---|---|---|---|---|"}
	for _, how := range []string{"without", "admission"} {
		address := startNode(t, how)
		url := "http://" + address + "/hub"
		traffic := func() func() figure {
			return start(t, []string{loadgen}, "-mode", "echo", "-c", "20", "-rate", "200", "-duration", fmt.Sprintf("%ds", *seconds), "-url", url)
		}
		before := traffic()()
		during := traffic()
		command := []string{loadgen}
		if *aside {
			command = []string{"nice", "-n", "19", loadgen}
		}
		storm := start(t, command, "-mode", "idle", "-c", strconv.Itoa(*clients), "-dialers", strconv.Itoa(*clients), "-settle", "0s", "-duration", "1s", "-url", url)()
		meanwhile := during()
		rows = append(rows, fmt.Sprintf("| %s | %.1f | %.1f | %.1f | %.1f | %.0f | %.0f |", how, before.Latency.P50/1000, before.Latency.P99/1000,
			meanwhile.Latency.P50/1000, meanwhile.Latency.P99/1000, storm.Connect.P50/1000, storm.Connect.Max/1000))
		stats := statsOf(t, address)
		t.Logf("%s: %+v", how, stats)
		if refused := stats.Full + stats.TooLong + stats.Left; refused > 0 {
			t.Errorf("%s: %d clients were refused or left", how, refused)
		}
		if want := uint64(*clients + 40); how == "admission" && stats.Admitted != want { // traffic came twice
			t.Errorf("%d clients were let in, want %d", stats.Admitted, want)
		}
	}
	t.Logf("%d clients at once, OnConnected takes %v\n%s", *clients, *work, strings.Join(rows, "\n"))
}

// startNode starts this program as a node and returns its address.
func startNode(t *testing.T, how string) string {
	t.Helper()
	node := exec.Command(os.Args[0], "-opening", strconv.Itoa(*opening), "-persecond", fmt.Sprint(*pace), "-work", work.String())
	node.Env = append(os.Environ(), asNode+"="+how)
	_, address := harness.StartUntil(t, node, regexp.MustCompile(`^(\S+)$`), time.Minute)
	return address
}

// start starts loadgen; what it returns waits for its figures.
func start(t *testing.T, command []string, args ...string) func() figure {
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

func statsOf(t *testing.T, address string) (stats server.AdmissionStats) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	return stats
}
