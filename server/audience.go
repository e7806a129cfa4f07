package server

import "fmt"

// An Audience says whom a LifetimeManager delivers a message to. The zero
// Audience is every connection of the hub.
type Audience struct {
	// Kind says what Names are. Zero is ToAll.
	Kind AudienceKind

	// Names are what Kind says: connection ids, groups or user ids. Without
	// names it is nobody. They mean nothing to ToAll. The slice must not be
	// changed.
	Names []string

	// Except are the ids of connections that do not get the message. It counts
	// for ToAll and ToGroups only. The slice must not be changed.
	Except []string
}

// An AudienceKind says what the names of an Audience are.
type AudienceKind uint8

const (
	// ToAll is every connection of the hub, on every node.
	ToAll AudienceKind = iota

	// ToConnections is the connections with the ids in Names. An unknown id is
	// no error. One that is named twice gets the message once in one process
	// and twice from a backplane, both as in ASP.NET Core.
	ToConnections

	// ToGroups is the members of the groups in Names, group by group: a member
	// of two of them gets the message twice, as in ASP.NET Core. A group
	// without members is no error. A single name may be empty, as a group may
	// be called so; among several names an empty one is a *HubError in one
	// process, once the groups before it have the message, and is skipped by a
	// backplane, both as in ASP.NET Core.
	ToGroups

	// ToUsers is every connection of the users in Names, user by user. A user
	// without a connection is no error, and empty names are skipped where there
	// are several: no user has an empty name.
	ToUsers
)

// String returns "all", "connections", "groups" or "users".
func (k AudienceKind) String() string {
	switch k {
	case ToAll:
		return "all"
	case ToConnections:
		return "connections"
	case ToGroups:
		return "groups"
	case ToUsers:
		return "users"
	}
	return fmt.Sprintf("AudienceKind(%d)", uint8(k))
}
