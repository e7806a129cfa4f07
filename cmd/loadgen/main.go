//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// config is what the flags say.
type config struct {
	mode, url, protocol, transport        string
	label, argument                       string
	skipNegotiate, invoke                 bool
	conns, groups, depth, payload, items  int
	processes                             int
	rate                                  float64
	warmup, duration, settle, ping, stall time.Duration
	every                                 time.Duration
	ramp, dialers, workers                int
	server                                statSource
	listen                                string
	headers, sources                      list
	methods                               struct{ echo, broadcast, group, join, stream string }
}

// A list is a flag that may come again.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// parse reads the flags. Those that the flag package refuses end the process.
func parse(args []string) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("loadgen", flag.ExitOnError)
	flags.StringVar(&c.mode, "mode", "echo", "echo, stream, broadcast, groups, idle, connect, scale, or agent")
	flags.StringVar(&c.url, "url", "http://127.0.0.1:5000/hub", "hub address")
	flags.StringVar(&c.protocol, "protocol", "json", "json, messagepack, or raw (plain records, no hub)")
	flags.StringVar(&c.transport, "transport", "websockets", "websockets, or sse: each client has an event stream, and says all by POSTs")
	flags.BoolVar(&c.skipNegotiate, "skip-negotiate", false, "open the WebSocket without negotiating")
	flags.IntVar(&c.conns, "c", 50, "connections (groups mode: per group)")
	flags.IntVar(&c.groups, "groups", 10, "groups mode: number of groups")
	flags.IntVar(&c.depth, "depth", 1, "messages in flight per connection (echo) or per group (broadcast, groups)")
	flags.Float64Var(&c.rate, "rate", 0, "open loop: messages a second in all (0 = closed loop)")
	flags.IntVar(&c.payload, "payload", 60, "bytes of the text argument (at least 30)")
	flags.StringVar(&c.argument, "argument", "", "echo with JSON: the argument as JSON, in place of text; it holds \"$text\", which stands for the text")
	flags.IntVar(&c.items, "items", 1000, "stream mode: items of a stream, each with -payload bytes of text")
	flags.DurationVar(&c.warmup, "warmup", time.Second, "time before the measured window")
	flags.DurationVar(&c.duration, "duration", 5*time.Second, "measured window")
	flags.DurationVar(&c.every, "every", 0, "report the latency of each such part of the window, too (0 = not)")
	flags.IntVar(&c.ramp, "ramp", 0, "connections opened a second (0 = as fast as the dialers go)")
	flags.IntVar(&c.dialers, "dialers", 16, "connections being opened at once")
	flags.DurationVar(&c.settle, "settle", time.Second, "pause after connecting before memory is read")
	flags.IntVar(&c.workers, "workers", max(1, runtime.NumCPU()/2), "polling threads")
	flags.BoolVar(&c.invoke, "invoke", false, "broadcast, groups: ask for a completion of each send")
	pids := flags.String("pid", "", "server process id(s), comma separated: report its CPU and memory")
	flags.StringVar(&c.server.agent, "agent", "", "address of an agent on the server's machine, e.g. http://host:9100/")
	flags.StringVar(&c.listen, "listen", "127.0.0.1:9100", "agent mode: address to serve -pid figures on")
	flags.StringVar(&c.methods.echo, "echo-method", "Echo", "hub method: text -> text")
	flags.StringVar(&c.methods.stream, "stream-method", "EchoStream", "hub method: a stream of text -> the same")
	flags.StringVar(&c.methods.broadcast, "broadcast-method", "Broadcast", "hub method: text to all clients, the caller too")
	flags.StringVar(&c.methods.group, "group-method", "SendToGroup", "hub method: group, text")
	flags.StringVar(&c.methods.join, "join-method", "JoinGroup", "hub method: group")
	flags.IntVar(&c.processes, "processes", runtime.NumCPU(), "scale mode: processes that share the connections")
	flags.Var(&c.sources, "source", "an address of this machine to connect from; again and again for more, which take turns")
	flags.DurationVar(&c.ping, "ping", 15*time.Second, "client hub ping interval")
	flags.StringVar(&c.label, "label", "", "copied into the report")
	flags.DurationVar(&c.stall, "stall", 5*time.Second, "closed loop: give up after this long without progress")
	flags.Var(&c.headers, "H", "extra request header \"Name: value\" (repeatable)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	for _, s := range strings.FieldsFunc(*pids, func(c rune) bool { return c == ',' }) {
		pid, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("-pid: %w", err)
		}
		c.server.pids = append(c.server.pids, pid)
	}
	return c, c.check()
}

// textMark stands for the text in -argument.
const textMark = `"$text"`

func (c *config) check() error {
	if c.depth > ringSize/2 {
		return fmt.Errorf("-depth: at most %d", ringSize/2)
	}
	switch {
	case c.transport == "websockets":
	case c.transport != "sse":
		return fmt.Errorf("unknown transport %q", c.transport)
	case c.protocol != "json" || c.skipNegotiate:
		return errors.New("-transport sse: only with JSON, and after a negotiate")
	}
	if c.argument != "" && (c.mode != "echo" || c.protocol != "json" || !strings.Contains(c.argument, textMark)) {
		return fmt.Errorf("-argument: only for echo with JSON, and it must hold %s", textMark)
	}
	if c.mode == "stream" && (c.items < 1 || c.rate > 0 || c.protocol == "raw") {
		return errors.New("stream mode: -items must be positive, and neither -rate nor raw is for it")
	}
	if c.every < 0 || c.every > 0 && c.duration/c.every > 10_000 {
		return errors.New("-every: at most 10,000 parts of -duration")
	}
	if c.mode == "scale" && (c.processes < 1 || c.processes > c.conns) {
		return errors.New("scale mode: -processes must be positive, and at most -c")
	}
	switch c.mode {
	case "scale", "part", "echo", "stream", "broadcast", "groups", "idle", "connect", "agent":
		return nil
	}
	return fmt.Errorf("unknown mode %q", c.mode)
}

func main() {
	ok, err := runOnce(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
	}
	if !ok {
		os.Exit(1)
	}
}

// runOnce does what the flags say and prints the report. ok says that nothing was
// lost. An agent returns only with an error.
func runOnce(args []string) (ok bool, err error) {
	c, err := parse(args)
	if err != nil {
		return false, err
	}
	switch c.mode {
	case "agent":
		return false, serveAgent(c.listen, c.server.pids)
	case "scale":
		rep, err := scale(c, args)
		print(rep)
		return err == nil && len(rep.Errors) == 0 && len(rep.Notes) == 0, err
	case "part":
		base = time.Unix(0, 0)
		r, err := newRun(c)
		if err != nil {
			return false, err
		}
		defer r.close()
		err = r.servePart(os.Stdin, os.Stdout)
		return err == nil, err
	}
	rep, err := play(c)
	if err != nil {
		return false, err
	}
	print(rep)
	return len(rep.Errors) == 0 && rep.Missing == 0, nil
}

// play loads the hub from this process.
func play(c *config) (*report, error) {
	r, err := newRun(c)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if c.mode == "connect" {
		return r.connectAgainAndAgain()
	}
	return r.load()
}
