package main

import (
	"net/url"
	"os"
	"strings"

	"github.com/hubwire/hubwire/server"
)

// ProcessId says which node has the client; the reference node has no such method.
func (h *TestHub) ProcessId() int { return os.Getpid() }

// ConnectionId and the methods after it tell a client about its connection.
func (h *TestHub) ConnectionId(call *server.Call) string { return call.ConnectionID() }

func (h *TestHub) UserIdentifier(call *server.Call) *string {
	if id := call.UserID(); id != "" {
		return &id
	}
	return nil
}

func (h *TestHub) Transport(call *server.Call) string { return call.Transport().String() }

func (h *TestHub) Header(call *server.Call, name string) *string {
	r := call.Request()
	if strings.EqualFold(name, "Host") { // net/http keeps it apart
		return &r.Host
	}
	return joined(r.Header.Values(name))
}

func (h *TestHub) Query(call *server.Call, name string) *string {
	var values []string
	for key, more := range call.Request().URL.Query() {
		if strings.EqualFold(key, name) {
			values = append(values, more...)
		}
	}
	return joined(values)
}

func (h *TestHub) Cookie(call *server.Call, name string) *string {
	for _, c := range call.Request().Cookies() {
		if strings.EqualFold(c.Name, name) {
			if value, err := url.PathUnescape(c.Value); err == nil {
				return &value
			}
			return &c.Value
		}
	}
	return nil
}

// joined is what .NET makes of several values; none is null.
func joined(values []string) *string {
	if len(values) == 0 {
		return nil
	}
	text := strings.Join(values, ",")
	return &text
}
