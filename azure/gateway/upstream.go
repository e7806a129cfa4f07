package gateway

import (
	"fmt"
	"net/url"
	"strings"
)

// An Upstream is where events of clients go in serverless mode.
type Upstream struct {
	// URL is the address, http or https. {hub}, {category} and {event} in its path
	// or query stand for what the event is: the category is "connections", with the
	// events "connected" and "disconnected", or "messages", where the event is the
	// target of the call. They are escaped, since clients choose targets. The URL
	// may hold a secret: it is in no log and no error.
	URL string

	// Hub, Category and Event say which events go there: a name, several separated
	// by commas, or "*" for all. Empty means "*". Case does not matter.
	Hub, Category, Event string
}

// Categories and events of the connections themselves.
const (
	categoryConnections = "connections"
	categoryMessages    = "messages"
	eventConnected      = "connected"
	eventDisconnected   = "disconnected"
)

type upstream struct {
	number               int // its place among Options.Upstreams, for the log
	url                  string
	hub, category, event pattern
	failing              bool // its last request failed: that is logged once; guarded by webhooks.mu
}

// A pattern is a list of names, one of which must be that of the event; nil matches all.
type pattern []string

func newPattern(text string) (p pattern) {
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.TrimSpace(name); name {
		case "*", "":
			return nil
		default:
			p = append(p, name)
		}
	}
	return p
}

func (p pattern) fits(name string) bool {
	for _, one := range p {
		if strings.EqualFold(one, name) {
			return true
		}
	}
	return p == nil
}

// newUpstreams checks what Options say. The error names no URL.
func newUpstreams(list []Upstream) ([]*upstream, error) {
	all := make([]*upstream, 0, len(list))
	for i, u := range list {
		one, err := url.Parse(fill(u.URL, "a", "a", "a"))
		other, err2 := url.Parse(fill(u.URL, "b", "b", "b"))
		switch {
		case err != nil || err2 != nil || one.Host == "" || one.Scheme != "http" && one.Scheme != "https":
			return nil, fmt.Errorf("gateway: Options.Upstreams[%d].URL is no address of http or https", i)
		case one.Host != other.Host || one.Scheme != other.Scheme || one.User.String() != other.User.String():
			return nil, fmt.Errorf("gateway: Options.Upstreams[%d].URL has a parameter before its path", i)
		}
		all = append(all, &upstream{number: i, url: u.URL, hub: newPattern(u.Hub), category: newPattern(u.Category), event: newPattern(u.Event)})
	}
	return all, nil
}

// newEvent returns an event with its target address; ok is false if no upstream takes
// it, or if its name cannot be put in a URL or header.
func (w *webhooks) newEvent(hub, category, name string) (e event, ok bool) {
	if !isPlain(name) {
		return e, false
	}
	for _, u := range w.upstreams {
		if !u.hub.fits(hub) || !u.category.fits(category) || !u.event.fits(name) {
			continue
		}
		if strings.Contains(u.url, "{event}") && (name == "" || name == "." || name == "..") {
			return e, false // a path with it is another path
		}
		return event{to: u, address: fill(u.url, escape(hub), category, escape(name)), category: category, name: name}, true
	}
	return e, false
}

func fill(template, hub, category, event string) string {
	return strings.NewReplacer("{hub}", hub, "{category}", category, "{event}", event).Replace(template)
}

// escape makes s one part of a path, or one value of a query.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// isPlain reports whether s may stand in a header.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
