//go:build linux

package main

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"sync/atomic"
)

// quantiles are microseconds.
type quantiles struct {
	N    uint64  `json:"n"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// quants returns nil if there is nothing in h.
func quants(h *hist) *quantiles {
	if h.n == 0 {
		return nil
	}
	return &quantiles{h.n, round(float64(h.sum) / float64(h.n) / 1e3), round(h.q(.5)), round(h.q(.9)), round(h.q(.99)), round(h.q(.999)), round(float64(h.max) / 1e3)}
}

func round(v float64) float64 { return float64(int64(v*1000+.5)) / 1000 }

type serverReport struct {
	User        float64 `json:"cpu_user_s"`
	Sys         float64 `json:"cpu_sys_s"`
	Cores       float64 `json:"cores"`
	PerOp       float64 `json:"cpu_us_per_op,omitempty"`
	PerDelivery float64 `json:"cpu_us_per_delivery,omitempty"`
	PerConnS    float64 `json:"cpu_us_per_conn_per_s,omitempty"`
	RSSBefore   int64   `json:"rss_kib_before"`
	RSSOpen     int64   `json:"rss_kib_connected"`
	RSSEnd      int64   `json:"rss_kib_end"`
	RSSMax      int64   `json:"rss_kib_max_sampled"`
	RSSPeak     int64   `json:"rss_kib_peak"`
	PerConn     int64   `json:"rss_bytes_per_conn,omitempty"`
	Threads     int     `json:"threads"`
}

type report struct {
	Mode       string            `json:"mode"`
	Label      string            `json:"label,omitempty"`
	Protocol   string            `json:"protocol"`
	Conns      int               `json:"connections"`
	Groups     int               `json:"groups,omitempty"`
	Depth      int               `json:"depth,omitempty"`
	Rate       float64           `json:"rate_asked,omitempty"`
	MsgBytes   int               `json:"message_bytes,omitempty"`
	Seconds    float64           `json:"seconds"`
	Sent       uint64            `json:"sent,omitempty"`
	Ops        uint64            `json:"ops"`
	OpsPerS    float64           `json:"ops_per_s"`
	Deliv      uint64            `json:"deliveries,omitempty"`
	DelivPerS  float64           `json:"deliveries_per_s,omitempty"`
	PerRead    float64           `json:"messages_per_read,omitempty"`
	Missing    int64             `json:"missing"`
	Latency    *quantiles        `json:"latency_us,omitempty"`
	Parts      []latencyPart     `json:"latency_parts,omitempty"`
	ConnectLat *quantiles        `json:"connect_us,omitempty"`
	PacerLate  *quantiles        `json:"pacer_late_us,omitempty"`
	Errors     map[string]uint64 `json:"errors"`
	Notes      []string          `json:"notes,omitempty"`
	Pings      uint64            `json:"server_pings"`
	Server     *serverReport     `json:"server,omitempty"`
	GenCPU     float64           `json:"generator_cpu_s"`
	GenCores   float64           `json:"generator_cores"`
}

func (r *run) newReport() *report {
	rep := &report{Mode: r.mode, Label: r.label, Protocol: r.proto.name(), Conns: r.total(), Rate: r.rate, Errors: map[string]uint64{}}
	if r.mode == "groups" {
		rep.Groups = r.groups
	}
	return rep
}

// fill reports what happened between two marks.
func (rep *report) fill(r *run, from, to mark) {
	seconds := float64(to.at-from.at) / 1e9
	rep.Seconds = round(seconds)
	rep.Ops, rep.Deliv, rep.Sent = to.ops-from.ops, to.deliveries-from.deliveries, to.sent-from.sent
	rep.OpsPerS, rep.DelivPerS = round(float64(rep.Ops)/seconds), round(float64(rep.Deliv)/seconds)
	if to.reads > from.reads {
		rep.PerRead = round(float64(rep.Ops+rep.Deliv) / float64(to.reads-from.reads))
	}
	rep.GenCPU, rep.GenCores = round(to.own-from.own), round((to.own-from.own)/seconds)
	message := r.echo
	if len(r.groupList) > 0 {
		message = r.groupList[len(r.groupList)-1].t
	}
	if message != nil {
		rep.MsgBytes = message.recLen
		if r.closedLoop {
			rep.Depth = r.depth
		}
	}
	var latency hist
	for _, w := range r.workers {
		latency.merge(&w.lat)
	}
	rep.Latency = quants(&latency)
	rep.Parts = r.latencyParts()
	rep.fillErrors(r)
}

// A latencyPart is the latency of what was sent in one part of the window.
type latencyPart struct {
	From float64 `json:"from_s"` // since the window began
	quantiles
}

// latencyParts returns what -every asks for. Parts in which nothing was sent are left out.
func (r *run) latencyParts() (list []latencyPart) {
	merged := map[int]*hist{}
	for _, w := range r.workers {
		for i, h := range w.parts {
			if merged[i] == nil {
				merged[i] = &hist{}
			}
			merged[i].merge(h)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(merged)) {
		list = append(list, latencyPart{round(r.every.Seconds() * float64(i)), *quants(merged[i])})
	}
	return list
}

// fillServer reports what it has cost the server.
func (rep *report) fillServer(r *run, from, to mark, before procStat) {
	a, b := from.server, to.server
	s := &serverReport{User: round(b.User - a.User), Sys: round(b.Sys - a.Sys), RSSBefore: before.RSS, RSSEnd: b.RSS, RSSPeak: b.Peak, Threads: b.Thr}
	cpu, seconds := b.User+b.Sys-a.User-a.Sys, float64(to.at-from.at)/1e9
	s.Cores = round(cpu / seconds)
	if rep.Ops > 0 {
		s.PerOp = round(cpu * 1e6 / float64(rep.Ops))
	}
	if rep.Deliv > 0 {
		s.PerDelivery = round(cpu * 1e6 / float64(rep.Deliv))
	}
	if r.mode == "idle" {
		s.PerConnS = round(cpu * 1e6 / float64(r.total()) / seconds)
	}
	rep.Server = s
}

// faults are the counters of what must not happen, by their names in the report.
var faults = map[string]func(*counters) *atomic.Uint64{
	"completions":   func(c *counters) *atomic.Uint64 { return &c.errs },
	"unmatched":     func(c *counters) *atomic.Uint64 { return &c.unmatched },
	"sequence_gaps": func(c *counters) *atomic.Uint64 { return &c.lost },
	"out_of_order":  func(c *counters) *atomic.Uint64 { return &c.disorder },
	"disconnects":   func(c *counters) *atomic.Uint64 { return &c.closed },
	"odd_messages":  func(c *counters) *atomic.Uint64 { return &c.odd },
	"bad_ws_frames": func(c *counters) *atomic.Uint64 { return &c.bad },
}

func (rep *report) fillErrors(r *run) {
	for name, f := range faults {
		if n := r.sum(f); n > 0 {
			rep.Errors[name] = n
		}
	}
	rep.Pings = r.sum(func(c *counters) *atomic.Uint64 { return &c.pings })
	rep.Notes = r.notes
}

// print writes a report.
func print(rep any) {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	_ = e.Encode(rep) // there is nowhere to report an error
}
