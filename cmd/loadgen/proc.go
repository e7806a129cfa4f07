//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// procStat is the server's use of the machine at one moment.
type procStat struct {
	User float64 `json:"user_s"`
	Sys  float64 `json:"sys_s"`
	RSS  int64   `json:"rss_kib"`
	Peak int64   `json:"peak_rss_kib"`
	FDs  int     `json:"fds"`
	Thr  int     `json:"threads"`
}

// readProc sums CPU and memory over the given processes (USER_HZ is 100 on
// every Linux a server runs on).
func readProc(pids []int) (s procStat, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return s, err
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		ut, _ := strconv.ParseInt(f[11], 10, 64)
		st, _ := strconv.ParseInt(f[12], 10, 64)
		s.User += float64(ut) / 100
		s.Sys += float64(st) / 100
		b, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return s, err
		}
		for _, l := range strings.Split(string(b), "\n") {
			k, v, _ := strings.Cut(l, ":")
			v = strings.TrimSuffix(strings.TrimSpace(v), " kB")
			n, _ := strconv.ParseInt(v, 10, 64)
			switch k {
			case "VmRSS":
				s.RSS += n
			case "VmHWM":
				s.Peak += n
			case "Threads":
				s.Thr += int(n)
			}
		}
		d, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		s.FDs += len(d)
	}
	return s, nil
}

// statSource reads the server's figures here (-pid) or from an agent there (-agent).
type statSource struct {
	pids  []int
	agent string
}

func (s statSource) on() bool { return len(s.pids) > 0 || s.agent != "" }

// read returns nothing if there is no server to look at.
func (s statSource) read() (procStat, error) {
	if s.agent == "" {
		return readProc(s.pids)
	}
	var p procStat
	r, err := http.Get(s.agent)
	if err != nil {
		return p, err
	}
	defer r.Body.Close()
	return p, json.NewDecoder(r.Body).Decode(&p)
}

// first makes VmHWM start again from the present size, and reads.
func (s statSource) first() (procStat, error) {
	for _, pid := range s.pids {
		// Where that is forbidden, the peak is that of the process's life.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
	p, err := s.read()
	if err != nil {
		err = fmt.Errorf("server figures: %w", err)
	}
	return p, err
}

func serveAgent(addr string, pids []int) error {
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := readProc(pids)
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		_ = json.NewEncoder(w).Encode(p)
	}))
}

func selfCPU() float64 {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return float64(ru.Utime.Sec+ru.Stime.Sec) + float64(ru.Utime.Usec+ru.Stime.Usec)/1e6
}
