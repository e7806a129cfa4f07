package backplane

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/server"
)

// asUser is a node whose user on s has rights.
func asUser(t *testing.T, s *redisServer, opts Options, rights ...any) *Redis {
	t.Helper()
	setUser(t, s, rights...)
	return nodeOn(t, redis.NewClient(&redis.Options{Addr: s.addr, Username: "node", Password: "secret"}), opts)
}

func setUser(t *testing.T, s *redisServer, rights ...any) {
	t.Helper()
	args := append([]any{"acl", "setuser", "node", "reset", "on", ">secret", "+@all"}, rights...)
	if err := admin(t, s.addr).Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
}

// refused waits until Redis has said code to r: what fails before has no such cause. A
// newer cause of the same state is told to nobody.
func refused(t *testing.T, r *Redis, code string) {
	t.Helper()
	eventually(t, code, func() error {
		if h := r.Health(); !says(h.Err, code) {
			return fmt.Errorf("health %+v", h)
		}
		return nil
	})
}

// everythingBut are the rights to all channels of the tests but the group secret.
func everythingBut() []any {
	rights := []any{"resetchannels", "&App.Hub:all", "&App.Hub:internal:*", "&App.Hub:connection:*", "&App.Hub:user:*"}
	for i := range 100 {
		rights = append(rights, fmt.Sprint("&App.Hub:group:open", i))
	}
	return rights
}

func TestRightsToSomeChannelsOnRealRedis(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	r := asUser(t, s, Options{PublishTimeout: 2 * time.Minute}, everythingBut()...)
	ready(t, r)
	c := client(t, r, "c", "u")
	start := time.Now()
	if err := r.AddToGroup(t.Context(), "c", "secret"); !says(err, "NOPERM") {
		t.Errorf("join: %v", err)
	}
	for i := range 100 {
		if err := r.AddToGroup(t.Context(), "c", fmt.Sprint("open", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Send(t.Context(), toGroups("secret"), message("x")); !says(err, "NOPERM") {
		t.Errorf("send: %v", err)
	}
	if took := time.Since(start); took > time.Minute { // less than PublishTimeout
		t.Errorf("took %v", took)
	}
	readyAfter(t, s.killSubscribers, r)
	if err := r.Send(t.Context(), toGroups("open7"), message("group")); err != nil {
		t.Fatal(err)
	}
	expectOnly(t, r, map[*fakeClient][]string{c: {"group"}})
}

// asDocumented is a Redis whose nodes have the rights that docs/security.md names.
type asDocumented struct{ *redisServer }

func (s asDocumented) client(change ...func(*redis.Options)) *redis.Client {
	return s.redisServer.client(append(change, func(o *redis.Options) { o.Username, o.Password = "blog", "PASSWORD" })...)
}

// The commands of docs/security.md begin so.
const (
	rightsOfEveryNode = "ACL SETUSER blog on"
	rightsOfOptions   = "ACL SETUSER blog ~"
	rightsInACluster  = "ACL SETUSER blog +cluster"
)

// documented returns the commands of docs/security.md that begin so.
func documented(t *testing.T, begins ...string) (commands [][]any) {
	t.Helper()
	page, err := os.ReadFile("../docs/security.md")
	succeed(t, err)
	for _, begin := range begins {
		found := 0
		for line := range strings.Lines(string(page)) {
			if strings.HasPrefix(line, begin) {
				commands = append(commands, anys(strings.Fields(line)))
				found++
			}
		}
		if found != 1 {
			t.Fatalf("docs/security.md has %d lines that begin with %q", found, begin)
		}
	}
	return commands
}

// documentedRights gives the user blog the rights of the commands of
// docs/security.md that begin so, and nothing else.
func documentedRights(t *testing.T, s *redisServer, begins ...string) asDocumented {
	t.Helper()
	for _, command := range documented(t, begins...) {
		if answer := s.do(command...); answer != "OK" {
			t.Fatalf("%v = %s", command, answer)
		}
	}
	return asDocumented{s}
}

func anys(words []string) (list []any) {
	for _, w := range words {
		list = append(list, w)
	}
	return list
}

func TestTheDocumentedRightsAreEnough(t *testing.T) {
	t.Parallel()
	const prefix = "BlogApp:SignalR:"
	t.Run("without options", func(t *testing.T) {
		s := documentedRights(t, startRedis(t), rightsOfEveryNode)
		a, b := node(t, s, Options{ChannelPrefix: prefix}), node(t, s, Options{ChannelPrefix: prefix})
		ready(t, a, b)
		c := client(t, b, "c", "u")
		succeed(t, a.AddToGroup(t.Context(), "c", "g"))
		whole(t, a, c, "g")
	})
	t.Run("with all options", func(t *testing.T) {
		s := documentedRights(t, startRedis(t), rightsOfEveryNode, rightsOfOptions)
		f := newFleet(t, s, overRedis, 2, Options{ChannelPrefix: prefix, Presence: &PresenceOptions{}}, patient)
		c := f.dial(t, f.options(hubclient.LongPolling)) // each request by another node
		if call[string](t, c, "Echo", "text") != "text" {
			t.Error("the echo is another one")
		}
		shows(t, s, func() string { return fmt.Sprint(f.nodes[0].Fleet().Counts(t.Context())) }, "{2 1 0 0} <nil>")
		r := node(t, s, Options{ChannelPrefix: prefix, HubName: "App.Kept"})
		r.KeepSessions(server.SessionOptions{TTL: time.Minute, MaximumGroups: 10})
		ready(t, r)
		first := comes(t, r, "c1", "alice", "s1", false)
		succeed(t, r.AddToGroup(t.Context(), "c1", "g"), r.AddUserToGroup(t.Context(), "alice", "u", time.Minute))
		goes(r, first)
		comes(t, r, "c2", "alice", "s1", true, "g", "u")
	})
}

// namedRights are the commands that a page names between two texts, as rights.
func namedRights(t *testing.T, page, from, to string) (rights []any) {
	t.Helper()
	text, err := os.ReadFile("../docs/" + page)
	succeed(t, err)
	_, rest, found := strings.Cut(strings.Join(strings.Fields(string(text)), " "), from)
	list, _, ended := strings.Cut(rest, to)
	names := regexp.MustCompile("`([A-Z]+)`").FindAllStringSubmatch(list, -1)
	if !found || !ended || len(names) == 0 {
		t.Fatalf("docs/%s names no rights between %q and %q", page, from, to)
	}
	for _, name := range names {
		rights = append(rights, "+"+strings.ToLower(name[1]))
	}
	return rights
}

func TestTheRightsThatAnOptionNamesAreEnough(t *testing.T) {
	t.Parallel()
	o := Options{ChannelPrefix: "BlogApp:SignalR:"}
	for name, test := range map[string]struct {
		rights []any
		key    string
		play   func(t *testing.T, s place)
	}{
		"AnyNode": {namedRights(t, "fleet.md", "A user who may not have commands on all keys needs", "on `PREFIX"), "~BlogApp:SignalR:App.Hub:hubwire:any:*", func(t *testing.T, s place) {
			for _, transport := range transports {
				newFleet(t, s, overRedis, 2, o, patient).converses(t, transport)
			}
		}},
		"sessions": {namedRights(t, "presence.md", "Rights that the nodes need:", "on these keys"), "~BlogApp:SignalR:App.Hub:hubwire:*", func(t *testing.T, s place) {
			aSessionComesBack(t, s, o)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := documentedRights(t, startRedis(t), rightsOfEveryNode)
			s.do(append([]any{"ACL", "SETUSER", "blog", test.key}, test.rights...)...)
			test.play(t, s)
			if log := s.do("acl", "log"); log != "[]" {
				t.Errorf("refused: %s", log)
			}
		})
	}
}

func TestNoRightsAndWrongPasswordsOnRealRedis(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	r := asUser(t, s, Options{PublishTimeout: 200 * time.Millisecond}, "resetchannels")
	wrong := nodeOn(t, redis.NewClient(&redis.Options{Addr: s.addr, Username: "node", Password: "wrong"}), Options{PublishTimeout: 200 * time.Millisecond})
	none := nodeOn(t, redis.NewClient(&redis.Options{Addr: s.addr, Username: "node", Password: "secret"}), Options{PublishTimeout: 200 * time.Millisecond, HubName: "Other"})
	for code, r := range map[string]*Redis{"NOPERM": r, "WRONGPASS": wrong} {
		client(t, r, "c", "")
		refused(t, r, code)
		for method, err := range map[string]error{
			"join": r.AddToGroup(t.Context(), "c", "g"), "SendAll": r.Send(t.Context(), toAll(), message("x")), "far join": r.AddToGroup(t.Context(), "far", "g"), "invoke": invoke(t.Context(), r, "far"),
		} {
			if !says(err, code) || !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s, %s: %v", code, method, err)
			}
		}
		if h := r.Health(); h.State != Connecting || !says(h.Err, code) {
			t.Errorf("health %+v, want %s", h, code)
		}
	}
	setUser(t, s, "allchannels")
	ready(t, r, none)
}

// PUBLISH and SUBSCRIBE store nothing: neither a full memory nor a replica that
// cannot be written keeps them from working. A PUBLISH on a replica reaches the
// subscribers of that replica only, without an error.
func TestAFullMemoryAndAReplicaTakeMessages(t *testing.T) {
	t.Parallel()
	s, replica := startRedis(t), startRedis(t)
	c, rc := admin(t, s.addr), admin(t, replica.addr)
	if err := c.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), "key", "value", 0).Err(); !says(err, "OOM") {
		t.Fatalf("SET = %v: the test proves nothing", err)
	}
	if err := rc.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := rc.Set(t.Context(), "key", "value", 0).Err(); !says(err, "READONLY") {
		t.Fatalf("SET = %v: the test proves nothing", err)
	}
	for _, s := range []*redisServer{s, replica} {
		a, _, c := twoNodes(t, s, s, Options{})
		whole(t, a, c, "g")
	}
}
