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
	"sync"
	"sync/atomic"
	"time"
)

// A target is the hub's address, resolved once.
type target struct {
	u       *url.URL
	address string
	proto   protocol
	skip    bool
	events  bool           // by event streams
	posting sync.WaitGroup // the goroutines of posts
	headers []string
	hc      *http.Client
	hs      []byte
	sources []net.IP // addresses of our own to connect from, in turn; none: any
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
	t := &target{u: u, address: a.String(), proto: p, skip: c.skipNegotiate || !p.hub(), events: c.transport == "sse", headers: c.headers, hs: p.handshake()}
	for _, source := range c.sources {
		ip := net.ParseIP(source)
		if ip == nil || (ip.To4() == nil) != (a.IP.To4() == nil) {
			return nil, fmt.Errorf("-source %q is no address of the hub's family", source)
		}
		t.sources = append(t.sources, ip)
	}
	// Browsers keep connections for requests, too, but not while a page is idle for long.
	t.hc = &http.Client{Timeout: 100 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 5 * time.Second}}
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
	t.addHeaders(req)
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
