package transport

import (
	"encoding/base64"
	"net/http"
	"net/url"
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

// route says what r asks for. The route's own path is the pattern under which
// an http.ServeMux found the handler, if that names a whole subtree ("/chat/");
// else only the end of the path counts.
func route(r *http.Request) destination {
	path := r.URL.Path
	if base, ok := subtree(r.Pattern); ok {
		if rest, ok := below(base, path); ok {
			switch rest, _ = strings.CutSuffix(rest, "/"); {
			case rest == "":
				return toConnect
			case strings.EqualFold(rest, "negotiate"):
				return toNegotiate
			case strings.EqualFold(rest, "refresh"):
				return toRefresh
			}
			return toNowhere
		}
	}
	path, _ = strings.CutSuffix(path, "/")
	switch {
	case endsIn(path, "/negotiate"):
		return toNegotiate
	case endsIn(path, "/refresh"):
		return toRefresh
	}
	return toConnect
}

func endsIn(path, tail string) bool {
	n := len(path) - len(tail)
	return n >= 0 && strings.EqualFold(path[n:], tail)
}

// subtree returns the path of a ServeMux pattern that ends in a slash, without
// that slash. The root's subtree does not count: under it other routers sit.
func subtree(pattern string) (string, bool) {
	at := strings.IndexByte(pattern, '/')
	if at < 0 {
		return "", false
	}
	base, ok := strings.CutSuffix(pattern[at:], "/")
	return base, ok && base != ""
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

// What a GET means.
type meant struct {
	transport Transport
	upgrade   bool // it is a valid WebSocket handshake, though it may ask for SSE
}

// meaning says which transport a GET asks for. The order of the tests is
// ASP.NET Core's: a broken WebSocket handshake is a poll.
func meaning(r *http.Request) meant {
	switch {
	case isExtendedConnect(r):
		return meant{transport: WebSockets, upgrade: true}
	case r.Method != http.MethodGet:
		return meant{transport: LongPolling}
	}
	m := meant{transport: LongPolling, upgrade: isWebSocket(r)}
	switch {
	case hasElement(r.Header["Accept"], "text/event-stream"):
		m.transport = ServerSentEvents
	case m.upgrade:
		m.transport = WebSockets
	}
	return m
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
	value, found := "", false
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		k, v, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(unescape(k), key) {
			continue
		}
		if v = unescape(v); found {
			v = value + "," + v
		}
		value, found = v, true
	}
	return value
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
