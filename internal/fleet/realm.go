package fleet

import (
	"slices"

	"github.com/hubwire/hubwire/internal/transport"
)

// A realm is where tokens are good: at the hub of a fleet, or at one of the raw
// endpoints that its nodes serve beside it.
type realm struct {
	kind  string   // what the purposes of its signatures begin with
	names []string // what is signed first
}

// sum is an HMAC of parts, for one purpose in r.
func (r realm) sum(key Key, purpose string, parts ...string) []byte {
	return key.sum(r.kind+purpose, append(slices.Clone(r.names), parts...)...)
}

func (f *Fleet) hub() realm { return realm{names: []string{f.base}} }

// Endpoint returns the nodes of f as those of a raw endpoint: its tokens are its
// own, and all else is the fleet's.
func (f *Fleet) Endpoint(name string) transport.Cluster {
	return endpoint{f, realm{"raw ", []string{f.base, name}}}
}

// An endpoint is a raw endpoint of all nodes of a fleet.
type endpoint struct {
	*Fleet
	realm realm
}

// Seal implements transport.Cluster.
func (e endpoint) Seal(t transport.Ticket, where, who string) (token, id string, ok bool) {
	return e.sealToken(e.realm, t, where, who)
}

// Open implements transport.Cluster.
func (e endpoint) Open(token, where, who string) (t transport.Ticket, ok bool) {
	return e.openToken(e.realm, token, where, who)
}
