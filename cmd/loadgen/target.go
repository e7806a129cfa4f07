//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A target is the hub's address, resolved once.
type target struct {
	u       *url.URL
	addr    func() syscall.Sockaddr // a fresh one each: Connect writes into it
	domain  int
	proto   protocol
	skip    bool
	headers []string
	hc      *http.Client
	hs      []byte
	sources []func() syscall.Sockaddr // addresses of our own to connect from, in turn; none: any
	dialed  atomic.Uint64
}

func newTarget(c *config, p protocol) (*target, error) {
	u, err := url.Parse(c.url)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "http":
	default:
		return nil, fmt.Errorf("scheme %q: only http and ws (no TLS)", u.Scheme)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "80")
	}
	a, err := net.ResolveTCPAddr("tcp", host)
	if err != nil {
		return nil, err
	}
	t := &target{u: u, proto: p, skip: c.skipNegotiate || !p.hub(), headers: c.headers, hs: p.handshake()}
	if ip4 := a.IP.To4(); ip4 != nil {
		t.domain = syscall.AF_INET
		t.addr = func() syscall.Sockaddr { return &syscall.SockaddrInet4{Port: a.Port, Addr: [4]byte(ip4)} }
	} else {
		t.domain = syscall.AF_INET6
		t.addr = func() syscall.Sockaddr { return &syscall.SockaddrInet6{Port: a.Port, Addr: [16]byte(a.IP.To16())} }
	}
	for _, source := range c.sources {
		ip := net.ParseIP(source)
		switch ip4 := ip.To4(); {
		case ip4 != nil && t.domain == syscall.AF_INET:
			t.sources = append(t.sources, func() syscall.Sockaddr { return &syscall.SockaddrInet4{Addr: [4]byte(ip4)} })
		case ip != nil && ip4 == nil && t.domain == syscall.AF_INET6:
			t.sources = append(t.sources, func() syscall.Sockaddr { return &syscall.SockaddrInet6{Addr: [16]byte(ip)} })
		default:
			return nil, fmt.Errorf("-source %q is no address of the hub's family", source)
		}
	}
	t.hc = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	return t, nil
}

// negotiate returns the token of a new connection.
func (t *target) negotiate() (string, error) {
	u := *t.u
	u.Path = strings.TrimSuffix(u.Path, "/") + "/negotiate"
	q := u.Query()
	q.Set("negotiateVersion", "1")
	u.RawQuery = q.Encode()
	req, err := http.NewRequest("POST", u.String(), nil)
	if err != nil {
		return "", err
	}
	for _, h := range t.headers {
		k, v, _ := strings.Cut(h, ":")
		req.Header.Set(k, strings.TrimSpace(v))
	}
	r, err := t.hc.Do(req)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	if r.StatusCode != 200 {
		return "", fmt.Errorf("negotiate: %s: %.200s", r.Status, b)
	}
	return tokenOf(b)
}

func tokenOf(answer []byte) (string, error) {
	var n struct{ ConnectionToken, ConnectionID, Error, URL string }
	if err := json.Unmarshal(answer, &n); err != nil {
		return "", fmt.Errorf("negotiate: %w", err)
	}
	switch {
	case n.Error != "":
		return "", errors.New("negotiate: " + n.Error)
	case n.ConnectionToken != "":
		return n.ConnectionToken, nil
	case n.ConnectionID != "":
		return n.ConnectionID, nil
	}
	return "", fmt.Errorf("negotiate: no connection token in %.200s", answer)
}
