package hubtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// Item makes a Call have an entry in Items.
func Item(key, value any) Option { return func(c *config) { c.items[key] = value } }

// Method makes a Call one of the hub method with that name, for code that reads
// Call.Method.
func Method(name string) Option { return func(c *config) { c.method = name } }

// Call returns a call for the unit test of a single method, and what is sent
// through it. The test calls the method itself, with any hub value and any
// arguments; the call's connection, context, user, request and items are real,
// and end with the test. Nobody else is connected.
//
// Options are those of clients, and Item and Method. Handle gives the client
// results, whichever client the method invokes.
func Call(t testing.TB, opts ...Option) (*server.Call, *Sent) {
	t.Helper()
	own := newConfig(t, opts)
	s := &Sent{t: t, codec: own.codec, handlers: map[string]*handler{}, groups: map[string]map[string]bool{}}
	for target, f := range own.handlers {
		h, err := newHandler(target, f)
		if err != nil {
			t.Fatalf("hubtest: Handle: %v", err)
		}
		s.handlers[strings.ToLower(target)] = h
	}
	hub := callHub{make(chan *server.Call, 1), make(chan struct{})}
	n := New(t, hub, &server.Options{
		LifetimeManager: manager{server.NewLifetimeManager(), s},
		Methods:         map[string]server.MethodOptions{"Lend": {Name: own.method}},
	})
	s.client = n.Connect(append(slices.Clone(opts), func(c *config) { c.method, c.items, c.handlers = "", nil, nil })...)
	method := own.method
	if method == "" {
		method = "Lend"
	}
	s.call = s.client.Start(method)
	t.Cleanup(func() { close(hub.back) })
	call := <-hub.calls
	for key, value := range own.items {
		call.Items().Store(key, value)
	}
	s.id = call.ConnectionID()
	return call, s
}

// A callHub is a hub with one method, which hands its call to the test and
// returns when the test ends: a Call is valid only until its method returns.
type callHub struct {
	calls chan *server.Call
	back  chan struct{}
}

func (h callHub) Lend(call *server.Call) {
	h.calls <- call
	<-h.back
}

// Sent is what was sent through a Call, in order, and what became of groups. It
// is safe for concurrent use.
type Sent struct {
	t        testing.TB
	client   *Client
	call     *Pending
	id       string // of the caller's connection
	codec    protocol.Codec
	handlers map[string]*handler

	mu       sync.Mutex
	messages []*SentMessage
	groups   map[string]map[string]bool // connection id -> groups
}

// A SentMessage is one message on its way to clients.
type SentMessage struct {
	To     server.Audience // for whom it is
	Target string          // the method of the clients
	Asks   bool            // the method waits for a result: see server.Invoke

	sent *Sent
	args arguments
}

// String shows the message as a call, with its arguments in JSON, and whom it is
// for.
func (m *SentMessage) String() string {
	return fmt.Sprintf("%s(%v) to %s", m.Target, m.args, m.sent.describe(m.To))
}

// Scan decodes the arguments into pointers, as many as there are. Otherwise it
// fails the test.
func (m *SentMessage) Scan(args ...any) {
	m.sent.t.Helper()
	if err := m.args.scan(args); err != nil {
		m.sent.t.Fatalf("hubtest: %v: %v", m, err)
	}
}

// theCaller is the caller in the audiences that this package makes.
const theCaller = "the caller"

// ToCaller is the audience of Clients().Caller(), for Sent.Expect only.
func ToCaller() server.Audience { return ToClients(theCaller) }

// ToOthers is the audience of Clients().Others(), for Sent.Expect only.
func ToOthers() server.Audience { return ToAll(theCaller) }

// ToOthersInGroup is the audience of Clients().OthersInGroup, for Sent.Expect
// only.
func ToOthersInGroup(name string) server.Audience { return ToGroup(name, theCaller) }

// ToAll is the audience of Clients().All(), or of AllExcept.
func ToAll(except ...string) server.Audience {
	return server.Audience{Kind: server.ToAll, Except: except}
}

// ToClients is the audience of Clients().Client, or of Clients.
func ToClients(connectionIDs ...string) server.Audience {
	return server.Audience{Kind: server.ToConnections, Names: connectionIDs}
}

// ToGroup is the audience of Clients().Group, or of GroupExcept.
func ToGroup(name string, except ...string) server.Audience {
	return server.Audience{Kind: server.ToGroups, Names: []string{name}, Except: except}
}

// ToGroups is the audience of Clients().Groups.
func ToGroups(names ...string) server.Audience {
	return server.Audience{Kind: server.ToGroups, Names: names}
}

// ToUsers is the audience of Clients().User, or of Users.
func ToUsers(ids ...string) server.Audience {
	return server.Audience{Kind: server.ToUsers, Names: ids}
}

// Expect wants the next message to be this one: for this audience, with the
// same target and arguments. Messages are in the order in which they were sent.
// Another one, or none, fails the test.
func (s *Sent) Expect(to server.Audience, target string, args ...any) *SentMessage {
	s.t.Helper()
	want := &SentMessage{To: to, Target: target, sent: s}
	encoded := encode(s.codec, args)
	want.args = encoded.arguments
	if encoded.err != nil {
		s.t.Fatalf("hubtest: %s: %v", target, encoded.err)
	}
	all := s.take(1)
	if len(all) == 0 {
		s.t.Fatalf("hubtest: nothing more was sent; want %v", want)
	}
	got := all[0]
	if got.Target != target || s.describe(got.To) != s.describe(to) {
		s.t.Fatalf("hubtest: something else was sent\n got: %v\nwant: %v", got, want)
	}
	if different := differences(got.args, want.args); different != "" {
		s.t.Fatalf("hubtest: other arguments\n got: %v\nwant: %v\n%s", got, want, different)
	}
	return got
}

// ExpectNone fails the test if anything more was sent.
func (s *Sent) ExpectNone() {
	s.t.Helper()
	if all := s.All(); len(all) > 0 {
		s.t.Fatalf("hubtest: %d messages that nobody expects:\n%s", len(all), lines(all))
	}
}

// All takes everything that was sent and not expected so far.
func (s *Sent) All() []*SentMessage { return s.take(-1) }

// take takes up to most messages; negative means all.
func (s *Sent) take(most int) []*SentMessage {
	s.collect()
	s.mu.Lock()
	defer s.mu.Unlock()
	if most < 0 || most > len(s.messages) {
		most = len(s.messages)
	}
	taken := s.messages[:most]
	s.messages = s.messages[most:]
	return taken
}

// Groups are the groups that the caller is in now, sorted.
func (s *Sent) Groups() []string { return s.GroupsOf(s.id) }

// GroupsOf are the groups that a connection is in now, sorted.
func (s *Sent) GroupsOf(connectionID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.groups[connectionID]))
}

// Cancel ends the call's Context, as a client does that cancels its invocation.
// It returns at once.
func (s *Sent) Cancel() { s.call.Cancel() }

// Aborted reports whether the call has ended its connection.
func (s *Sent) Aborted() bool { return errors.Is(s.client.barrier(), ErrClosed) }

// collect adds what the caller has been sent: that does not pass through the
// manager.
func (s *Sent) collect() {
	_ = s.client.barrier() // where the connection has ended, what has come counts
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.client.messages.All() {
		s.messages = append(s.messages, &SentMessage{To: ToCaller(), Target: m.Target, sent: s, args: m.args})
	}
}

func (s *Sent) add(m *SentMessage) {
	s.collect()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
}

// describe says whom a message is for.
func (s *Sent) describe(to server.Audience) string {
	name := func(names []string) string {
		quoted := make([]string, len(names))
		for i, one := range names {
			if quoted[i] = fmt.Sprintf("%q", one); one == s.id || one == theCaller {
				quoted[i] = theCaller
			}
		}
		return strings.Join(quoted, ", ")
	}
	text := to.Kind.String()
	if to.Kind != server.ToAll {
		text += " " + name(to.Names)
	}
	if len(to.Except) > 0 {
		text += " except " + name(slices.Sorted(slices.Values(to.Except)))
	}
	return text
}

// A manager records instead of sending.
type manager struct {
	server.LifetimeManager
	sent *Sent
}

func (m manager) Send(_ context.Context, to server.Audience, message *server.Message) error {
	bytes, err := message.Bytes(m.sent.codec)
	if err != nil {
		return err
	}
	decoded, _, err := m.sent.codec.Next(slices.Clone(bytes))
	if err != nil {
		return err
	}
	inv, ok := decoded.(*protocol.Invocation)
	if !ok {
		return fmt.Errorf("hubtest: a message of type %T", decoded)
	}
	m.sent.add(&SentMessage{To: to, Target: inv.Target, sent: m.sent, args: arguments{m.sent.codec, inv.RawArguments}})
	return nil
}

func (m manager) AddToGroup(_ context.Context, connectionID, group string) error {
	m.sent.mu.Lock()
	defer m.sent.mu.Unlock()
	groups := m.sent.groups[connectionID]
	if groups == nil {
		groups = map[string]bool{}
		m.sent.groups[connectionID] = groups
	}
	groups[group] = true
	return nil
}

func (m manager) RemoveFromGroup(_ context.Context, connectionID, group string) error {
	m.sent.mu.Lock()
	defer m.sent.mu.Unlock()
	delete(m.sent.groups[connectionID], group)
	return nil
}

// InvokeConnection implements server.ResultRouter with the handlers of Handle.
func (m manager) InvokeConnection(_ context.Context, connectionID string, inv *protocol.Invocation) (server.ClientResult, error) {
	args := encode(m.sent.codec, inv.Arguments)
	if args.err != nil {
		return server.ClientResult{}, args.err
	}
	asked := &SentMessage{To: ToClients(connectionID), Target: inv.Target, Asks: true, sent: m.sent, args: args.arguments}
	m.sent.add(asked)
	h := m.sent.handlers[strings.ToLower(inv.Target)]
	if h == nil {
		m.sent.t.Errorf("hubtest: nobody answers %v: give Call a Handle(%q, ...)", asked, inv.Target)
		return server.ClientResult{}, &server.ConnectionError{ID: connectionID}
	}
	result, err := h.call(args.arguments)
	if misfit, ok := err.(*misfitError); ok {
		m.sent.t.Errorf("hubtest: %v: %v", asked, misfit)
	}
	if err != nil {
		return server.ClientResult{}, &server.HubError{Message: err.Error()}
	}
	var value any
	if len(result) > 0 {
		value = result[0].Interface()
	}
	raw, err := m.sent.codec.AppendValue(nil, value)
	return server.ClientResult{Codec: m.sent.codec, Value: raw}, err
}

// SetResult implements server.ResultRouter: clients answer nothing here.
func (manager) SetResult(server.Receiver, *protocol.Completion) (bool, error) { return false, nil }

var _ server.ResultRouter = manager{}
