package server_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/server"
)

func TestTheAddressOfAClientIsWhatTrustedProxiesSay(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::ffff:192.0.2.0/120")}
	for _, test := range []struct {
		name, remote string
		forwarded    []string // lines of X-Forwarded-For
		want         string
	}{
		{"a client of its own", "203.0.113.7:4711", nil, "203.0.113.7"},
		{"a client that forges the header", "203.0.113.7:4711", []string{"198.51.100.1"}, "203.0.113.7"},
		{"a client that says it is a proxy", "203.0.113.7:4711", []string{"10.0.0.1, 10.0.0.2"}, "203.0.113.7"},
		{"behind one proxy", "10.0.0.1:80", []string{"203.0.113.7"}, "203.0.113.7"},
		{"behind two", "10.0.0.1:80", []string{"203.0.113.7, 10.9.9.9"}, "203.0.113.7"},
		{"on several lines", "10.0.0.1:80", []string{"203.0.113.7", "10.9.9.9,10.9.9.8"}, "203.0.113.7"},
		{"forged in front", "10.0.0.1:80", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
		{"forged as a proxy in front", "10.0.0.1:80", []string{"10.1.1.1, 203.0.113.7"}, "203.0.113.7"},
		{"forged on a line in front", "10.0.0.1:80", []string{"198.51.100.1", "203.0.113.7"}, "203.0.113.7"},
		{"forged with what is no address", "10.0.0.1:80", []string{"'; DROP TABLE, 203.0.113.7"}, "203.0.113.7"},
		{"what is no address behind a proxy", "10.0.0.1:80", []string{"203.0.113.7, unknown, 10.9.9.9"}, "10.9.9.9"},
		{"nothing but what is no address", "10.0.0.1:80", []string{"unknown"}, "10.0.0.1"},
		{"an empty entry", "10.0.0.1:80", []string{"203.0.113.7,"}, "10.0.0.1"},
		{"a proxy without the header", "10.0.0.1:80", nil, "10.0.0.1"},
		{"trusted all the way", "10.0.0.1:80", []string{"10.5.5.5, 10.6.6.6"}, "10.5.5.5"},
		{"with a port", "10.0.0.1:80", []string{"203.0.113.7:5555"}, "203.0.113.7"},
		{"IPv6 is its network", "[2001:db8:1:2:3:4:5:6]:80", nil, "2001:db8:1:2::/64"},
		{"IPv6 behind a proxy", "[fd00::1]:80", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"},
		{"IPv6 with a port", "[fd00::1]:80", []string{"[2001:db8:1:2:3:4:5:6]:443"}, "2001:db8:1:2::/64"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:80", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{"a trusted network of IPv4 in IPv6", "192.0.2.9:80", []string{"203.0.113.7"}, "203.0.113.7"},
		{"with a zone", "[fe80::1%eth0]:80", nil, "fe80::/64"},
		{"a Unix socket", "@", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
		{"a Unix socket without the header", "@", nil, "@"},
		{"a network that is neither", "somewhere", []string{"203.0.113.7"}, "somewhere"},
	} {
		r := &http.Request{RemoteAddr: test.remote, Header: http.Header{"X-Forwarded-For": test.forwarded}}
		if got := server.AddressBehindProxies(proxies...)(r); got != test.want {
			t.Errorf("%s: from %s, forwarded for %q: %s, want %s", test.name, test.remote, test.forwarded, got, test.want)
		}
		if !strings.HasPrefix(test.remote, "203") {
			continue
		}
		if got := server.AddressBehindProxies()(r); got != test.want {
			t.Errorf("%s: without trusted proxies: %s, want %s", test.name, got, test.want)
		}
	}
	untrusted := &http.Request{RemoteAddr: "@", Header: http.Header{"X-Forwarded-For": {"203.0.113.7"}}}
	if got := server.AddressBehindProxies()(untrusted); got != "@" {
		t.Errorf("a Unix socket without trusted proxies: %s, want @", got)
	}
}
