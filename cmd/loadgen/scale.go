//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// One process has too few descriptors, threads and ports for a large server. So in
// the mode scale a parent starts parts, which are this program in the mode part,
// and leads them step by step: all connect at once, stay idle, join groups, and get
// one broadcast. It writes a command to a part, a line each, and gets its answer,
// a line of JSON. A part ends when its input does.

// stepTime bounds what parts do for one command.
const stepTime = 5 * time.Minute

// An outcome is a part's answer to a command.
type outcome struct {
	N       int               // connected, joined or delivered
	Took    int64             // nanoseconds since the command was read
	Latency []bin             `json:",omitempty"`
	Errors  map[string]uint64 `json:",omitempty"`
	Fault   string            `json:",omitempty"`
}

// A bin is a bucket of a hist that is not empty.
type bin struct {
	I int
	N uint32
}

// bins returns what h has.
func (h *hist) bins() (list []bin) {
	for i, n := range h.b {
		if n > 0 {
			list = append(list, bin{i, n})
		}
	}
	return list
}

// addBins adds what another process has measured, to the middle of its bucket.
func (h *hist) addBins(list []bin) {
	for _, b := range list {
		middle := bucketMid(b.I)
		h.n += uint64(b.N)
		h.sum += int64(b.N) * middle
		h.max = max(h.max, middle)
		h.b[b.I] += b.N
	}
}

// A step is what one command has cost.
type step struct {
	Seconds float64    `json:"seconds"` // until the last part had done it
	Latency *quantiles `json:"latency_us,omitempty"`
	CPU     float64    `json:"server_cpu_s,omitempty"`
	PerConn float64    `json:"server_cpu_us_per_conn,omitempty"`
}

// A scaleReport says what many connections cost.
type scaleReport struct {
	Connections int               `json:"connections"`
	Processes   int               `json:"processes"`
	Protocol    string            `json:"protocol"`
	Connect     step              `json:"connect"` // all at once, but for -ramp
	RSSPerConn  int64             `json:"rss_bytes_per_conn,omitempty"`
	Idle        step              `json:"idle"` // for -duration; latency has no meaning
	IdleCPU     float64           `json:"idle_cpu_us_per_conn_per_s,omitempty"`
	Join        step              `json:"join"`      // one group of a thousand each
	Broadcast   step              `json:"broadcast"` // to all, until the last delivery
	Close       step              `json:"close"`
	Errors      map[string]uint64 `json:"errors"`
	Notes       []string          `json:"notes,omitempty"`
}

// A part is one process with its share of the connections.
type part struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// scale leads the parts, and reports what their connections have cost.
func scale(c *config, args []string) (rep *scaleReport, err error) {
	rep = &scaleReport{Connections: c.conns, Processes: c.processes, Protocol: c.protocol, Errors: map[string]uint64{}}
	before, err := c.server.first()
	if err != nil {
		return nil, err
	}
	var parts []*part
	defer func() {
		for _, p := range parts {
			_ = p.in.Close() // it ends then
			err = errors.Join(err, p.cmd.Wait())
		}
	}()
	for i := range c.processes {
		p, err := startPart(args, c.conns*(i+1)/c.processes-c.conns*i/c.processes, c.ramp/c.processes)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	l := &lead{rep: rep, server: c.server, parts: parts, conns: c.conns}
	if err := l.all("connect", c.conns, &rep.Connect); err != nil {
		return nil, err
	}
	time.Sleep(c.settle)
	open, _ := c.server.read() // a server that has ended fails the next step
	rep.RSSPerConn = (open.RSS - before.RSS) * 1024 / int64(c.conns)
	idle := time.Now()
	l.from, _ = c.server.read()
	time.Sleep(c.duration)
	l.fill(&rep.Idle, time.Since(idle))
	rep.IdleCPU = round(rep.Idle.PerConn / rep.Idle.Seconds)
	if err := l.all("join", c.conns, &rep.Join); err != nil {
		return nil, err
	}
	return rep, errors.Join(l.broadcast(), l.all("close", c.conns, &rep.Close))
}

// startPart starts a part with so many connections.
func startPart(args []string, conns, ramp int) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// The last of two flags counts.
	p := &part{cmd: exec.Command(self, append(args[:len(args):len(args)], "-mode", "part", "-c", strconv.Itoa(conns), "-ramp", strconv.Itoa(ramp))...)}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), asPart+"=1"), os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

// asPart is the variable of the environment that a part has: a test's program is
// this program, too.
const asPart = "LOADGEN_PART"

// A lead gives commands to parts and measures.
type lead struct {
	rep    *scaleReport
	server statSource
	parts  []*part
	conns  int
	from   procStat
}

// fill reports what the server has used since from.
func (l *lead) fill(s *step, took time.Duration) {
	to, _ := l.server.read()
	s.Seconds, s.CPU = round(took.Seconds()), round(to.User+to.Sys-l.from.User-l.from.Sys)
	s.PerConn = round(s.CPU * 1e6 / float64(l.conns))
}

// all gives every part a command and waits until all have done it, want times
// together.
func (l *lead) all(command string, want int, s *step) error {
	l.from, _ = l.server.read()
	start := time.Now()
	for _, p := range l.parts {
		if err := p.tell(command); err != nil {
			return err
		}
	}
	return l.collect(command, l.parts, want, s, start)
}

// broadcast lets one part send to all. The others must know of it first: what they
// do not expect is a fault.
func (l *lead) broadcast() error {
	for _, p := range l.parts {
		if err := p.tell("expect"); err != nil {
			return err
		}
		if _, err := p.answer("expect"); err != nil {
			return err
		}
	}
	l.from, _ = l.server.read()
	start := time.Now()
	if err := l.parts[0].tell("send"); err != nil {
		return err
	}
	for _, p := range l.parts[1:] {
		if err := p.tell("receive"); err != nil {
			return err
		}
	}
	return l.collect("broadcast", l.parts, l.conns, &l.rep.Broadcast, start)
}

func (l *lead) collect(command string, parts []*part, want int, s *step, start time.Time) error {
	var latency hist
	n := 0
	for _, p := range parts {
		o, err := p.answer(command)
		if err != nil {
			return err
		}
		n += o.N
		latency.addBins(o.Latency)
		for name, count := range o.Errors {
			l.rep.Errors[name] += count
		}
		if o.Fault != "" {
			l.rep.Notes = append(l.rep.Notes, o.Fault)
		}
	}
	l.fill(s, time.Since(start))
	s.Latency = quants(&latency)
	if n != want {
		return fmt.Errorf("%s: %d of %d; notes: %q", command, n, want, l.rep.Notes)
	}
	return nil
}

func (p *part) tell(command string) error {
	_, err := fmt.Fprintln(p.in, command)
	return err
}

func (p *part) answer(command string) (o outcome, err error) {
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err != nil {
		return o, fmt.Errorf("a part has not answered %q: %w", command, err)
	}
	return o, nil
}

// servePart is the mode part: it does what the lines of in say, until they end.
func (r *run) servePart(in io.Reader, out io.Writer) error {
	for _, w := range r.workers {
		r.polling.Go(w.loop)
	}
	answers := json.NewEncoder(out)
	r.measuring.Store(true)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		o := r.obey(strings.TrimSpace(lines.Text()))
		o.Errors = map[string]uint64{}
		for name, f := range faults {
			if n := r.sum(f); n > 0 {
				o.Errors[name] = n
			}
		}
		if err := answers.Encode(o); err != nil {
			return err
		}
	}
	return nil
}

// obey does what a command says.
func (r *run) obey(command string) (o outcome) {
	start := now()
	var latency hist
	switch command {
	case "connect":
		if err := r.connect(&latency); err != nil {
			o.Fault = err.Error()
		}
		o.N = int(latency.n)
	case "join":
		o.N = r.join()
	case "expect":
		if len(r.all) > 0 {
			r.addGroup(r.proto.invocation(false, r.methods.broadcast, text(r.payload)), r.all)
		}
	case "send":
		r.groupList[0].send(now())
		o.N = r.await(r.deliveries, len(r.all))
	case "receive":
		o.N = r.await(r.deliveries, len(r.all))
	case "close":
		o.N = len(r.all)
		r.close()
	default:
		o.Fault = fmt.Sprintf("unknown command %q", command)
	}
	if command == "join" || command == "send" || command == "receive" {
		for _, w := range r.workers {
			latency.merge(w.takeLatency())
		}
	}
	if o.Took = now() - start; o.N > 0 {
		o.Latency = latency.bins()
	}
	if len(r.notes) > 0 {
		o.Fault += strings.Join(r.notes, "; ")
	}
	return o
}

// join lets each connection join a group of a thousand.
func (r *run) join() int {
	for i, c := range r.all {
		c.invoke(r.proto.invocation(true, r.methods.join, fmt.Sprintf("scale%05d", i/1000)), 1, now())
	}
	return r.await(r.ops, len(r.all))
}

// await waits until count is want, and returns what it is in the end.
func (r *run) await(count func() uint64, want int) int {
	for end := time.Now().Add(stepTime); count() < uint64(want) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return int(count())
}
