package cluster

import (
	"fmt"
	"slices"
)

// A form is a way to send. It calls a hub method with the arguments that args
// returns, then method and text, and must reach the members that reaches returns.
type form struct {
	method  string
	kind    string // messages of a sender keep their order within a kind
	args    func(s *scene) []any
	reaches func(s *scene, m *member) bool
}

// A scene is who takes part in one message: its sender, and others as receivers.
type scene struct {
	sender *member
	other  *member // any member, maybe the sender, maybe on the other node
	third  *member // a member of another group and another user
}

var wide = []form{
	{"SendAll", "all", func(*scene) []any { return nil }, func(*scene, *member) bool { return true }},
	{"SendAllExcept", "all", func(s *scene) []any { return []any{[]string{s.other.id}} }, func(s *scene, m *member) bool { return m != s.other }},
	{"SendOthers", "all", func(*scene) []any { return nil }, func(s *scene, m *member) bool { return m != s.sender }},
}

var narrow = []form{
	{"SendGroup", "group", func(s *scene) []any { return []any{s.other.group} }, inGroup},
	{"SendGroups", "group", func(s *scene) []any { return []any{[]string{s.other.group, s.third.group}} },
		func(s *scene, m *member) bool { return inGroup(s, m) || m.group == s.third.group }},
	{"SendGroupExcept", "group", func(s *scene) []any { return []any{s.other.group, []string{s.other.id}} },
		func(s *scene, m *member) bool { return inGroup(s, m) && m != s.other }},
	{"SendOthersInGroup", "group", func(s *scene) []any { return []any{s.other.group} },
		func(s *scene, m *member) bool { return inGroup(s, m) && m != s.sender }},
	{"SendUser", "user", func(s *scene) []any { return []any{s.other.user} }, ofUser},
	{"SendUsers", "user", func(s *scene) []any { return []any{[]string{s.other.user, s.third.user}} },
		func(s *scene, m *member) bool { return ofUser(s, m) || m.user == s.third.user }},
	{"SendClients", "clients", func(s *scene) []any { return []any{[]string{s.other.id, s.third.id}} },
		func(s *scene, m *member) bool { return m == s.other || m == s.third }},
	{"SendClient", "client", func(s *scene) []any { return []any{s.other.id} }, func(s *scene, m *member) bool { return m == s.other }},
	{"SendCaller", "client", func(*scene) []any { return nil }, func(s *scene, m *member) bool { return m == s.sender }},
}

func inGroup(s *scene, m *member) bool { return m.group == s.other.group }
func ofUser(s *scene, m *member) bool  { return m.user == s.other.user }

// everyWide: one message in so many goes to all members, which is 400
// deliveries.
const everyWide = 100

// plan says what a sender's message of this sequence is. Different senders and
// sequences give different plans; the same ones always the same plan.
func plan(members []*member, sender, sequence int) (form, *scene) {
	f := narrow[(sender+sequence)%len(narrow)]
	if sequence%everyWide == sender%everyWide {
		f = wide[(sequence/everyWide+sender)%len(wide)]
	}
	mixed := sender*7919 + sequence*104729
	s := &scene{sender: members[sender], other: members[mixed%len(members)]}
	s.third = members[(s.other.index+len(members)/2)%len(members)]
	return f, s
}

// audience lists those that the message must reach.
func (f form) audience(members []*member, s *scene) []*member {
	return slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return !f.reaches(s, m) })
}

// text is what the message says.
func (f form) text(sender, sequence int) string {
	return fmt.Sprint(sender, " ", sequence, " ", f.kind)
}
