package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// AddressBehindProxies is an EndpointOptions.ClientAddress for a server behind
// proxies that add the address of their client to the header X-Forwarded-For;
// trusted are the networks of these proxies. A client can write anything into that
// header, so it is read from its end, and only as far as trusted proxies have
// written it: the address is the first one that is not trusted, and where an entry
// is no address, that of the proxy which has passed it on. A request that does not
// come from a trusted proxy has its own address, whatever its header says.
//
// The entry may have a port. Of an IPv6 address the first 64 bits count, since one
// client has all of these. A request through a Unix socket is one of a proxy that
// is trusted. Without trusted no header counts.
//
//	Endpoint: server.EndpointOptions{
//		ClientAddress: server.AddressBehindProxies(netip.MustParsePrefix("10.0.0.0/8")),
//	}
func AddressBehindProxies(trusted ...netip.Prefix) func(r *http.Request) string {
	trusted = slices.Clone(trusted)
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool {
			return p.Contains(a) || p.Addr().Is4In6() && p.Bits() >= 96 && netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Contains(a)
		})
	}
	return func(r *http.Request) string {
		peer, ok := parseAddress(r.RemoteAddr)
		switch {
		case len(trusted) == 0, ok && !isTrusted(peer):
			return remoteAddress(r)
		case !ok && !isUnixSocket(r.RemoteAddr):
			return remoteAddress(r)
		}
		last := remoteAddress(r)
		for _, line := range slices.Backward(r.Header["X-Forwarded-For"]) {
			for line != "" {
				var one string
				if at := strings.LastIndexByte(line, ','); at >= 0 {
					line, one = line[:at], line[at+1:]
				} else {
					line, one = "", line
				}
				a, ok := parseAddress(strings.Trim(one, " \t"))
				if !ok {
					return last
				}
				last = addressKey(a)
				if !isTrusted(a) {
					return last
				}
			}
		}
		return last
	}
}

// remoteAddress is the address at the other end of the request's TCP connection.
func remoteAddress(r *http.Request) string {
	if a, ok := parseAddress(r.RemoteAddr); ok {
		return addressKey(a)
	}
	return r.RemoteAddr
}

// isUnixSocket reports whether remote is how net/http names the other end of a
// Unix socket.
func isUnixSocket(remote string) bool {
	return remote == "" || remote == "@" || strings.HasPrefix(remote, "/")
}

// parseAddress reads an address with or without a port. IPv4 inside IPv6 is IPv4.
func parseAddress(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		with, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		a = with.Addr()
	}
	return a.Unmap().WithZone(""), true
}

// addressKey is a, or the network of a for IPv6.
func addressKey(a netip.Addr) string {
	if a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64) // an address of IPv6 has so many bits
	return p.String()
}
