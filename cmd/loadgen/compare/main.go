// Command compare measures SignalR nodes in turn with loadgen and prints medians,
// and the ratio of the last node to each other one. Ratios hold on a noisy machine
// where single figures do not.
//
//	go run ./cmd/loadgen/compare [-rounds 3] [-seconds 6] [-only echo] "dotnet reference.dll" path/to/node
//
// Each node is started anew for each mode and round, by its command and --urls,
// and prints "READY <url>". A peer, which need not be able to do everything, has
// loadgen's protocol in front of its command, as in raw=path/to/floor. Where a node
// fails in every round the table has a dash, and standard error the reason.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A mode is one way to load a node, and what is compared.
type mode struct {
	name   string
	args   string
	figure func(report) float64
	unit   string
	p99    bool // compare the latency, too
}

type report struct {
	Latency struct {
		P99 float64 `json:"p99"`
	} `json:"latency_us"`
	Errors  map[string]uint64 `json:"errors"`
	Missing int64             `json:"missing"`
	Server  struct {
		PerOp       float64 `json:"cpu_us_per_op"`
		PerDelivery float64 `json:"cpu_us_per_delivery"`
		PerConn     float64 `json:"rss_bytes_per_conn"`
	} `json:"server"`
}

func perOp(r report) float64       { return r.Server.PerOp }
func perDelivery(r report) float64 { return r.Server.PerDelivery }
func perConn(r report) float64     { return r.Server.PerConn }

const micros = "µs CPU" // of the server, an operation

// sample is the argument of EchoSample with 12 of its members: the others are null,
// false or 0 in the answer.
const sample = `{"bool":true,"byte":255,"int":-7,"long":4503599627370497,"double":0.1,"text":"$text",` +
	`"guid":"00010203-0405-0607-0809-0a0b0c0d0e0f","dateTime":"2026-01-02T03:04:05.678Z","color":2,"maybeInt":12,` +
	`"list":[1,2,3,40,500],"map":{"a":"b","Key":"Value"}}`

var modes = []mode{
	{name: "echo, 1 in flight", args: "-mode echo -c 50 -depth 1", figure: perOp, unit: micros},
	{name: "echo, MessagePack, 1 in flight", args: "-mode echo -c 50 -depth 1 -protocol messagepack", figure: perOp, unit: micros},
	{name: "echo, 16 in flight", args: "-mode echo -c 50 -depth 16", figure: perOp, unit: micros},
	{name: "echo, MessagePack, 16 in flight", args: "-mode echo -c 50 -depth 16 -protocol messagepack", figure: perOp, unit: micros},
	{name: "struct of 12 members, 16 in flight", args: "-mode echo -c 50 -depth 16 -echo-method EchoSample -argument " + sample, figure: perOp, unit: micros},
	{name: "call that waits for 20 ms, of 200 clients", args: "-mode echo -c 200 -echo-method Slow -argument \"$text\",20", figure: perOp, unit: micros},
	{name: "stream of 1,000 items up and down, an item", args: "-mode stream -c 20 -payload 30", figure: perOp, unit: micros},
	{name: "stream, MessagePack, an item", args: "-mode stream -c 20 -payload 30 -protocol messagepack", figure: perOp, unit: micros},
	{name: "broadcast to 1,000, 1 in flight", args: "-mode broadcast -c 1000", figure: perDelivery, unit: micros},
	{name: "broadcast to 1,000, 16 in flight", args: "-mode broadcast -c 1000 -depth 16", figure: perDelivery, unit: micros},
	{name: "groups 50 x 20, 1 in flight", args: "-mode groups -groups 50 -c 20", figure: perDelivery, unit: micros},
	{name: "groups 50 x 20, 8 in flight", args: "-mode groups -groups 50 -c 20 -depth 8", figure: perDelivery, unit: micros},
	{name: "paced, 20 broadcasts/s to 1,000", args: "-mode broadcast -c 1000 -rate 20", figure: perDelivery, unit: micros, p99: true},
	{name: "idle connection, RSS of 4,000", args: "-mode idle -c 4000 -ramp 2000 -settle 5s", figure: perConn, unit: "B"},
	{name: "event streams: echo, 1 in flight", args: "-mode echo -c 50 -transport sse", figure: perOp, unit: micros},
	{name: "event streams: broadcast to 1,000", args: "-mode broadcast -c 1000 -transport sse", figure: perDelivery, unit: micros},
	{name: "event streams: idle, RSS of 4,000", args: "-mode idle -c 4000 -ramp 1000 -settle 10s -transport sse", figure: perConn, unit: "B"},
	{name: "connect + close", args: "-mode connect -c 8", figure: perOp, unit: micros},
}

func main() {
	rounds := flag.Int("rounds", 3, "how often each mode is measured on each node")
	seconds := flag.Int("seconds", 6, "length of one measurement")
	only := flag.String("only", "", "only modes whose name holds this word")
	echoFirst := flag.Bool("echo-first", false, "warm each node up with 6 s of echoes, whatever is measured, in place of 8 s of what is measured")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: compare [flags] node node...\n\neach node is a command, its words divided by blanks")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(flag.Args(), *rounds, *seconds, *only, *echoFirst); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// A node is what is measured.
type node struct {
	command  string
	protocol string // of loadgen, in place of JSON; empty: the mode's
	peer     bool   // it may fail
}

// nodeOf reads an argument.
func nodeOf(argument string) node {
	before, command, ok := strings.Cut(argument, "=")
	switch {
	case !ok || strings.ContainsAny(before, " /"):
		return node{command: argument}
	case before == "json":
		return node{command: command, peer: true}
	}
	return node{command: command, protocol: before, peer: true}
}

// errNot says that a peer of another protocol cannot do what only hubs can.
var errNot = errors.New("no hub of this protocol")

// args returns those of m for the node.
func (n node) args(m mode) (string, error) {
	if n.protocol == "" {
		return m.args, nil
	}
	if strings.Contains(m.args, "-protocol") || strings.Contains(m.args, "-argument") || strings.Contains(m.args, "-transport") || strings.Contains(m.args, "groups") || strings.Contains(m.args, "stream") {
		return "", errNot
	}
	return m.args + " -protocol " + n.protocol, nil
}

func run(arguments []string, rounds, seconds int, only string, echoFirst bool) error {
	if len(arguments) < 2 || rounds < 1 {
		return errors.New("two nodes and one round are needed")
	}
	var nodes []node
	for _, argument := range arguments {
		nodes = append(nodes, nodeOf(argument))
	}
	dir, err := os.MkdirTemp("", "loadgen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tool := filepath.Join(dir, "loadgen")
	if out, err := exec.Command("go", "build", "-o", tool, "github.com/hubwire/hubwire/cmd/loadgen").CombinedOutput(); err != nil {
		return fmt.Errorf("build loadgen: %w\n%s", err, out)
	}
	head(len(nodes))
	failed := false
	for _, m := range modes {
		if !strings.Contains(m.name, only) {
			continue
		}
		figures, latencies := make([][]float64, len(nodes)), make([][]float64, len(nodes))
		for round := range rounds {
			for i := range nodes {
				if round%2 == 1 { // nobody is always the first
					i = len(nodes) - 1 - i
				}
				r, err := nodes[i].measure(tool, m, seconds, echoFirst)
				if err != nil { // the other rows are still worth having
					fmt.Fprintf(os.Stderr, "compare: %s: %s: %v\n", m.name, nodes[i].command, err)
					failed = failed || !nodes[i].peer
					continue
				}
				figures[i] = append(figures[i], m.figure(r))
				latencies[i] = append(latencies[i], r.Latency.P99/1000)
			}
		}
		row(m.name, figures, m.unit)
		if m.p99 {
			row(m.name+": p99", latencies, "ms")
		}
	}
	if failed {
		return errors.New("not all was measured")
	}
	return nil
}

// head prints the first lines of the table, whose rows are those of row.
func head(nodes int) {
	fmt.Print("| |")
	for i := range nodes {
		fmt.Printf(" node %d |", i+1)
	}
	for i := range nodes - 1 {
		fmt.Printf(" %d/%d |", nodes, i+1)
	}
	fmt.Println("\n|---" + strings.Repeat("|---", 2*nodes-1) + "|")
}

// row prints the medians of the figures of each node, and the ratios of the last
// node to the others.
func row(name string, figures [][]float64, unit string) {
	fmt.Printf("| %s (%s) |", name, unit)
	medians := make([]float64, len(figures))
	for i := range figures {
		medians[i] = median(figures[i])
		cell(medians[i])
	}
	for _, other := range medians[:len(medians)-1] {
		cell(medians[len(medians)-1] / other)
	}
	fmt.Println()
}

func cell(figure float64) {
	if math.IsNaN(figure) {
		fmt.Print(" – |")
		return
	}
	fmt.Printf(" %.2f |", figure)
}

// median returns NaN for an empty list.
func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// measure starts a node, warms it up, and measures one mode.
func (n node) measure(tool string, m mode, seconds int, echoFirst bool) (report, error) {
	args, err := n.args(m)
	if err != nil {
		return report{}, err
	}
	words := append(strings.Fields(n.command), "--urls", "http://127.0.0.1:0")
	process := exec.Command(words[0], words[1:]...)
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err != nil {
		return report{}, err
	}
	if err := process.Start(); err != nil {
		return report{}, err
	}
	defer func() {
		_ = process.Process.Signal(syscall.SIGTERM) // it may have ended already
		timer := time.AfterFunc(5*time.Second, func() { _ = process.Process.Kill() })
		_ = process.Wait()
		timer.Stop()
	}()
	url := ""
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		url, _ = strings.CutPrefix(lines.Text(), "READY ")
	}
	load := func(args string, seconds int) ([]byte, error) {
		list := append(strings.Fields(args), "-url", url+"/hub", "-pid", strconv.Itoa(process.Process.Pid), "-duration", fmt.Sprintf("%ds", seconds))
		return exec.Command(tool, list...).Output()
	}
	if !strings.Contains(m.args, "idle") {
		// What is measured, so that the JIT compiles that: a node that had only echoed takes
		// three times as much for a connect at first.
		warm, seconds := args, 8
		if echoFirst {
			warm, _ = n.args(mode{args: "-mode echo -c 20 -depth 4"}) // every node can echo
			seconds = 6
		}
		if _, err := load(warm, seconds); err != nil {
			return report{}, fmt.Errorf("warm-up: %w", err)
		}
	}
	text, err := load(args, seconds)
	if err != nil {
		return report{}, fmt.Errorf("%w\n%s", err, text)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return report{}, err
	}
	if len(r.Errors) > 0 || r.Missing > 0 {
		return report{}, fmt.Errorf("errors %v, missing %d", r.Errors, r.Missing)
	}
	return r, nil
}
