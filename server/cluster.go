package server

import (
	"encoding/json"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// clustered is a LifetimeManager whose nodes may get each other's requests, as
// that of package backplane may. Cluster returns nil if they do not.
type clustered interface{ Cluster() transport.Cluster }

// joinCluster lets the nodes that share manager get each other's requests.
func joinCluster(t *transport.Options, manager LifetimeManager) {
	if m, ok := manager.(clustered); ok {
		setCluster(t, m.Cluster())
	}
}

// setCluster lets the nodes of c, which may be nil, get each other's requests.
func setCluster(t *transport.Options, c transport.Cluster) {
	if t.Cluster = c; c != nil {
		t.Who, t.PackUser, t.UnpackUser = who, packUser, unpackUser
	}
}

// Nodes are those of a fleet, as one raw endpoint sees them: each may get any request
// of any of its connections. Redis.Nodes of package backplane returns them, and no
// other package can.
type Nodes interface{ EndpointCluster() transport.Cluster }

// who names a user so that sameUser holds for two users of one name, and for no
// others.
func who(user any) string {
	u, _ := user.(User)
	if kind, id := u.identity(); kind != "" {
		return kind + ":" + id
	}
	return "?" + string(packUser(User{Name: u.Name, Claims: u.Claims}))
}

// A packedUser is a User on its way to another node. What JSON cannot carry of a
// claim does not arrive.
type packedUser struct {
	ID      string         `json:"id,omitempty"`
	Name    string         `json:"name,omitempty"`
	Claims  map[string]any `json:"claims,omitempty"`
	Expires time.Time      `json:"expires"`
	Capped  bool           `json:"capped,omitempty"`
}

func packUser(user any) []byte {
	u, _ := user.(User)
	p := packedUser{u.ID, u.Name, u.Claims, u.Expires, u.capped}
	if b, err := json.Marshal(p); err == nil {
		return b
	}
	p.Claims = make(map[string]any, len(u.Claims)) // one of them is no JSON: a func, a channel, NaN
	for name, claim := range u.Claims {
		if _, err := json.Marshal(claim); err == nil {
			p.Claims[name] = claim
		}
	}
	b, _ := json.Marshal(p) // each of them was
	return b
}

// unpackUser reads what packUser has written: claims have the types that JSON gives
// them.
func unpackUser(packed []byte) any {
	var p packedUser
	if json.Unmarshal(packed, &p) != nil { // no node of this fleet sends that
		return User{}
	}
	return User{ID: p.ID, Name: p.Name, Claims: p.Claims, Expires: p.Expires, capped: p.Capped, packed: true}
}

// packedAgain is u as it would arrive at another node.
func packedAgain(u User) User {
	if u.packed {
		return u
	}
	return unpackUser(packUser(u)).(User)
}
