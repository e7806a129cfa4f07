package transport

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Where a request goes.
type destination uint8

const (
	toConnect destination = iota // the route itself
	toNegotiate
	toRefresh
	toNowhere
)

// MountedAt says that an http.ServeMux serves the endpoint under pattern, which
// ends in a slash: a path below it that is not one of the endpoint's is not
// found then.
func (e *Endpoint) MountedAt(pattern string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	if old := e.mounts.Load(); old != nil {
		all = append(all, *old...)
	}
	all = append(all, pattern)
	e.mounts.Store(&all)
}

// route says what r asks for. Where MountedAt has named the pattern that found
// the endpoint, the path is known from there on. Else only the end of the path
// counts: any router may be in front, below any pattern of an http.ServeMux.
func (e *Endpoint) route(r *http.Request) destination {
	path, _ := strings.CutSuffix(r.URL.Path, "/")
	if all := e.mounts.Load(); all != nil && slices.Contains(*all, r.Pattern) {
		base := r.Pattern[strings.IndexByte(r.Pattern, '/') : len(r.Pattern)-1]
		if rest, ok := below(base, path); ok {
			switch {
			case rest == "":
				return toConnect
			case strings.EqualFold(rest, "negotiate"):
				return toNegotiate
			case strings.EqualFold(rest, "refresh") && e.opts.EnableRefresh:
				return toRefresh
			}
			return toNowhere
		}
	}
	switch {
	case endsIn(path, "/negotiate"):
		return toNegotiate
	case endsIn(path, "/refresh") && e.opts.EnableRefresh:
		return toRefresh
	}
	return toConnect
}

func endsIn(path, tail string) bool {
	n := len(path) - len(tail)
	return n >= 0 && strings.EqualFold(path[n:], tail)
}

// below returns what follows base and a slash in path. Wildcards of base match
// any segment.
func below(base, path string) (rest string, ok bool) {
	for base != "" {
		var want, got string
		want, base = segment(base)
		got, path = segment(path)
		if want != got && (got == "" || !strings.HasPrefix(want, "{")) {
			return "", false
		}
	}
	return strings.TrimPrefix(path, "/"), true
}

// segment cuts the first segment off path, which begins with a slash.
func segment(path string) (first, rest string) {
	path = strings.TrimPrefix(path, "/")
	if at := strings.IndexByte(path, '/'); at >= 0 {
		return path[:at], path[at:]
	}
	return path, ""
}

// A connectKind is what a request that begins or serves a transport asks for.
type connectKind struct {
	transport Transport
	upgrade   bool // it is a valid WebSocket handshake, though it may ask for SSE
}

// kindOf says which transport a GET asks for. The order of the tests is
// ASP.NET Core's: a broken WebSocket handshake is a poll.
func kindOf(r *http.Request) connectKind {
	switch {
	case isExtendedConnect(r):
		return connectKind{transport: WebSockets, upgrade: true}
	case r.Method != http.MethodGet:
		return connectKind{transport: LongPolling}
	}
	k := connectKind{transport: LongPolling, upgrade: isWebSocket(r)}
	switch {
	case hasElement(r.Header["Accept"], "text/event-stream"):
		k.transport = ServerSentEvents
	case k.upgrade:
		k.transport = WebSockets
	}
	return k
}

// isWebSocket reports whether r is a valid WebSocket handshake. One with a body
// is none.
func isWebSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ContentLength == 0 &&
		hasElement(r.Header["Upgrade"], "websocket") &&
		hasElement(r.Header["Connection"], "upgrade") &&
		hasElement(r.Header["Sec-Websocket-Version"], "13") &&
		isWebSocketKey(r.Header["Sec-Websocket-Key"])
}

// hasElement reports whether a comma-separated header has an element, in any
// letter case. An element with parameters is another one.
func hasElement(lines []string, element string) bool {
	for _, line := range lines {
		for more := true; more; {
			var one string
			one, line, more = strings.Cut(line, ",")
			if strings.EqualFold(strings.Trim(one, " \t"), element) {
				return true
			}
		}
	}
	return false
}

func isWebSocketKey(lines []string) bool {
	if len(lines) != 1 || len(lines[0]) != 24 {
		return false
	}
	var key [18]byte
	n, err := base64.StdEncoding.Decode(key[:], []byte(lines[0]))
	return err == nil && n == 16
}

// queryValue returns the value of key, in any letter case; several values are
// joined by commas. Pairs that cannot be unescaped are taken as they are.
func queryValue(query, key string) string {
	var first string
	var joined strings.Builder
	for n := 0; query != ""; {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		k, v, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(unescape(k), key) {
			continue
		}
		v = unescape(v)
		switch n++; n {
		case 1:
			first = v
			continue
		case 2:
			joined.WriteString(first)
		}
		joined.WriteByte(',')
		joined.WriteString(v)
	}
	if joined.Len() > 0 {
		return joined.String()
	}
	return first
}

// hasQuery reports whether there is key, with a value or without.
func hasQuery(query, key string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if k, _, _ := strings.Cut(pair, "="); strings.EqualFold(unescape(k), key) {
			return true
		}
	}
	return false
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return strings.ReplaceAll(s, "+", " ")
}
