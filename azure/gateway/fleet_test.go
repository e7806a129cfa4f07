package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/internal/testport"
	"github.com/hubwire/hubwire/protocol"
	"github.com/redis/go-redis/v9"
)

// A fleetOf is gateways that share a Redis. The clock is the real one.
type fleetOf struct {
	*testing.T
	redis *miniredis.Miniredis
	all   []*world
}

func newFleetOf(t *testing.T, n int, o gateway.Options) *fleetOf {
	f := &fleetOf{T: t, redis: miniredis.NewMiniRedis()}
	redis.SetLogger(noLog{}) // the tests end servers on purpose
	if err := f.redis.StartAddr("127.0.0.1:" + testport.Hold(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.redis.Close)
	for range n {
		f.start(o)
	}
	f.meet()
	return f
}

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// start adds a gateway.
func (f *fleetOf) start(o gateway.Options) *world {
	f.Helper()
	client := redis.NewClient(&redis.Options{Addr: f.redis.Addr(), MaxRetries: -1, ReadTimeout: time.Minute})
	o.AccessKeys, o.Redis, o.RedisPrefix = []string{key}, client, "test:"
	o.InstanceID = fmt.Sprintf("gateway-%d", len(f.all)+1)
	o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	g, err := gateway.New(&o)
	if err != nil {
		f.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Minute)
	w := &world{T: f.T, g: g, net: memnet.Listen(), ctx: ctx}
	w.link = w.net.Link(nil)
	web := &http.Server{Handler: g, ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelInfo)}
	served := make(chan error, 1)
	go func() { served <- web.Serve(w.net) }()
	f.Cleanup(func() {
		stop()
		w.shutdown()
		_ = web.Close()
		<-served
		_ = client.Close()
	})
	f.all = append(f.all, w)
	return w
}

func (w *world) shutdown() {
	over, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = w.g.Shutdown(over) // a test may leave some that do not read
}

// until waits for something that the gateways come to by themselves.
func (f *fleetOf) until(what string, yes func() bool) {
	f.Helper()
	for end := time.Now().Add(time.Minute); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.Fatal(what)
		}
	}
}

// meet waits until all gateways know each other.
func (f *fleetOf) meet() {
	f.Helper()
	f.until("the gateways do not know each other", func() bool {
		return !slices.ContainsFunc(f.all, func(w *world) bool { return w.g.Stats().Peers != len(f.all)-1 })
	})
}

// end is the last call of a test: it passes Redis after all that was sent by REST or
// by app servers before, at the same gateway.
func (w *world) end(hub string) {
	w.Helper()
	if status, _, body := w.rest("POST", "/api/v1/hubs/"+hub, "application/json", `{"target":"end","arguments":[]}`); status != http.StatusAccepted {
		w.Fatalf("%d %s", status, body)
	}
}

// calls are the targets of the calls up to end.
func (c *client) untilEnd(w *world) (list []string) {
	w.Helper()
	for {
		target := c.next(w)
		if target == "end" {
			return list
		}
		list = append(list, target)
	}
}

func TestSendsReachTheClientsOfOtherGateways(t *testing.T) {
	f := newFleetOf(t, 2, gateway.Options{})
	a, b := f.all[0], f.all[1]
	s := a.server("server-1")
	b.server("server-2")
	ann, bob := a.client("ann"), b.clientWith("bob", clientOptions{codec: protocol.MessagePack{}})
	ann2, other := b.client("ann"), b.client("")
	for i, m := range []wire.Message{
		&wire.JoinGroupWithAck{ConnectionID: ann.ID(), GroupName: "g"}, &wire.JoinGroupWithAck{ConnectionID: bob.ID(), GroupName: "g"},
		&wire.JoinGroupWithAck{ConnectionID: ann2.ID(), GroupName: "g"}, &wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "ofann"},
	} {
		if status := s.ask(m); status != wire.AckOK {
			t.Fatalf("join %d: status %d", i, status)
		}
	}
	s.send(
		&wire.BroadcastData{Payloads: both("all")}, &wire.BroadcastData{ExcludedList: []string{bob.ID(), ann.ID()}, Payloads: both("but ann and bob")},
		&wire.UserData{UserID: "ann", Payloads: both("user")}, &wire.MultiUserData{UserList: []string{"bob", "nobody"}, Payloads: both("users")},
		&wire.MultiConnectionData{ConnectionList: []string{ann.ID(), bob.ID(), "gone"}, Payloads: both("connections")},
		&wire.GroupBroadcastData{GroupName: "g", ExcludedList: []string{ann2.ID()}, Payloads: both("group")},
		&wire.GroupBroadcastData{GroupName: "g", ExcludedUserList: []string{"bob"}, Payloads: both("group but bob")},
		&wire.MultiGroupBroadcastData{GroupList: []string{"ofann"}, Payloads: both("groups")},
		&wire.JoinGroup{ConnectionID: other.ID(), GroupName: "late"}, &wire.GroupBroadcastData{GroupName: "late", Payloads: both("joined")},
		&wire.LeaveGroup{ConnectionID: other.ID()}, &wire.GroupBroadcastData{GroupName: "late", Payloads: both("left")},
		&wire.BroadcastData{Payloads: both("end")},
	)
	for _, test := range []struct {
		name string
		c    *client
		want []string
	}{
		{"ann", ann, []string{"all", "user", "connections", "group", "group but bob", "groups"}},
		{"bob", bob, []string{"all", "users", "connections", "group"}},
		{"ann's second", ann2, []string{"all", "but ann and bob", "user", "group but bob", "groups"}},
		{"other", other, []string{"all", "but ann and bob", "joined"}},
	} {
		if got := test.c.untilEnd(a); !slices.Equal(got, test.want) {
			t.Errorf("%s got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAcksAreOfAllGateways(t *testing.T) {
	f := newFleetOf(t, 3, gateway.Options{})
	a, b := f.all[0], f.all[1]
	s := a.server("server-1")
	b.server("server-2")
	c := b.client("ann")
	text := func(s string) *string { return &s }
	for _, test := range []struct {
		m    wire.Message
		want int
	}{
		{&wire.CheckConnectionExistenceWithAck{ConnectionID: c.ID()}, wire.AckOK},
		{&wire.CheckConnectionExistenceWithAck{ConnectionID: "nobody"}, wire.AckNotFound},
		{&wire.CheckUserExistenceWithAck{UserID: "ann"}, wire.AckOK},
		{&wire.CheckUserExistenceWithAck{UserID: "nobody"}, wire.AckNotFound},
		{&wire.CheckGroupExistenceWithAck{GroupName: "g"}, wire.AckNotFound},
		{&wire.JoinGroupWithAck{ConnectionID: "nobody", GroupName: "g"}, wire.AckNotFound},
		{&wire.JoinGroupWithAck{ConnectionID: c.ID(), GroupName: "g"}, wire.AckOK},
		{&wire.CheckGroupExistenceWithAck{GroupName: "g"}, wire.AckOK},
		{&wire.CheckUserInGroupWithAck{UserID: "ann", GroupName: "g"}, wire.AckOK},
		{&wire.LeaveGroupWithAck{ConnectionID: c.ID(), GroupName: text("g")}, wire.AckOK},
		{&wire.CheckUserInGroupWithAck{UserID: "ann", GroupName: "g"}, wire.AckNotFound},
		{&wire.UserJoinGroupWithAck{UserID: "ann", GroupName: "g"}, wire.AckOK},
		{&wire.CheckGroupExistenceWithAck{GroupName: "g"}, wire.AckOK},
		{&wire.UserLeaveGroupWithAck{UserID: "ann"}, wire.AckOK},
		{&wire.CheckGroupExistenceWithAck{GroupName: "g"}, wire.AckNotFound},
		{&wire.CloseUserConnectionsWithAck{UserID: "nobody"}, wire.AckNotFound},
		{&wire.CloseGroupConnectionsWithAck{GroupName: "nobody"}, wire.AckNotFound},
		{&wire.CloseConnectionsWithAck{ExcludedList: []string{c.ID()}}, wire.AckOK},
		{&wire.CloseConnectionWithAck{ConnectionID: c.ID(), Reason: text("enough")}, wire.AckOK},
		{&wire.CheckConnectionExistenceWithAck{ConnectionID: c.ID()}, wire.AckNotFound},
	} {
		if got := s.ask(test.m); got != test.want {
			t.Errorf("%T%+v: status %d, want %d", test.m, test.m, got, test.want)
		}
	}
	<-c.Done()
}

func TestAMemberListIsOfAllGateways(t *testing.T) {
	f := newFleetOf(t, 3, gateway.Options{})
	s := f.all[0].server("server-1")
	var want []string
	for i, w := range f.all {
		w.server("of its own")
		for range 3 {
			c := w.client(fmt.Sprint("user", i))
			want = append(want, c.ID())
			s.ask(&wire.JoinGroupWithAck{ConnectionID: c.ID(), GroupName: "g"})
		}
	}
	slices.Sort(want)
	two, seven := 2, 7
	for _, top := range []*int{nil, &seven} {
		var got []string
		m := &wire.GroupMemberQuery{GroupName: "g", MaxPageSize: &two}
		for left := 7; ; {
			if top != nil {
				m.Top = &left
			}
			s.send(m)
			page, err := wire.ParseGroupMembers(await[*wire.Ack](s).Payload)
			if err != nil || len(page.Members) > two {
				t.Fatalf("page %+v, error %v", page, err)
			}
			for _, one := range page.Members {
				got = append(got, one.ConnectionID)
				left--
			}
			if m.ContinuationToken = page.ContinuationToken; m.ContinuationToken == nil {
				break
			}
		}
		if top != nil {
			want = want[:7]
		}
		if !slices.Equal(got, want) {
			t.Errorf("members %q, want %q", got, want)
		}
	}
}

func TestNothingComesTwiceFromAnAppServerWithSeveralEndpoints(t *testing.T) {
	f := newFleetOf(t, 2, gateway.Options{})
	a, b := f.all[0], f.all[1]
	atA := a.serverWith("server-1", serverOptions{endpoint: "a.example"})
	atB := b.serverWith("server-1", serverOptions{endpoint: "b.example"})
	ann, bob := a.client("ann"), b.client("bob")
	send := func(m wire.Message) {
		atA.send(m)
		atB.send(m)
	}
	send(&wire.BroadcastData{Payloads: both("one")})
	send(&wire.UserData{UserID: "bob", Payloads: both("two")})
	// It asks each as well: what the other has is the other's to say.
	if at, other := atA.ask(&wire.CheckUserExistenceWithAck{UserID: "bob"}), atB.ask(&wire.CheckUserExistenceWithAck{UserID: "bob"}); at != wire.AckNotFound || other != wire.AckOK {
		t.Errorf("the user is there: %d, %d", at, other)
	}
	// The gateway whose app server has just gone still knows whence that has sent.
	_ = atB.conn.Close()
	<-atB.over
	f.until("the connection of the app server does not end", func() bool { return b.g.Stats().ServerConnections == 0 })
	<-bob.Done() // with his app server; he has got all that there was
	atA.send(&wire.BroadcastData{Payloads: both("three")})
	atA.ask(&wire.CheckUserExistenceWithAck{UserID: "nobody"}) // what it has sent was published
	a.end("chat")
	if got, want := ann.untilEnd(a), []string{"one", "three"}; !slices.Equal(got, want) {
		t.Errorf("ann got %q, want %q", got, want)
	}
	f.until("the messages that came twice are not counted", func() bool { return b.g.Stats().FleetTwice == 5 && a.g.Stats().FleetTwice == 2 })
	var got []string
	for _, m := range bob.calls.All() {
		got = append(got, m.Target)
	}
	if want := []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("bob got %q, want %q", got, want)
	}
}

func TestAnAppServerWithOneEndpointReachesAllGatewaysOnce(t *testing.T) {
	f := newFleetOf(t, 2, gateway.Options{})
	a, b := f.all[0], f.all[1]
	atA, atB := a.server("server-1"), b.server("server-1") // a balancer is in front
	ann, bob := a.client("ann"), b.client("bob")
	atA.send(&wire.BroadcastData{Payloads: both("by a")})
	if got := ann.next(a) + bob.next(b); got != "by aby a" {
		t.Fatal(got)
	}
	atB.send(&wire.BroadcastData{Payloads: both("by b")}, &wire.BroadcastData{Payloads: both("end")})
	for _, c := range []*client{ann, bob} {
		if got := c.untilEnd(a); !slices.Equal(got, []string{"by b"}) {
			t.Errorf("got %q", got)
		}
	}
}

func TestAGatewayThatBeginsKnowsTheGroupsOfUsers(t *testing.T) {
	f := newFleetOf(t, 1, gateway.Options{})
	s := f.all[0].server("server-1")
	long, short := 3600, 1
	for i := range 1200 { // more than one letter has
		s.send(&wire.UserJoinGroup{UserID: fmt.Sprint("user", i), GroupName: "g", TTL: &long})
	}
	s.ask(&wire.UserJoinGroupWithAck{UserID: "user7", GroupName: "short", TTL: &short})
	b := f.start(gateway.Options{})
	f.meet()
	b.server("server-2")
	f.until("the groups are not known", func() bool { return b.g.Stats().FleetReceived >= 3 })
	first, last := b.client("user7"), b.client("user1199")
	f.until("the time of a group is not over", func() bool {
		return s.ask(&wire.CheckGroupExistenceWithAck{GroupName: "short"}) == wire.AckNotFound
	})
	s.send(&wire.GroupBroadcastData{GroupName: "short", Payloads: both("too late")}, &wire.GroupBroadcastData{GroupName: "g", Payloads: both("end")})
	if got := append(first.untilEnd(b), last.untilEnd(b)...); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

func TestAResultCrossesGateways(t *testing.T) {
	f := newFleetOf(t, 3, gateway.Options{})
	a, b := f.all[0], f.all[1]
	caller, router := a.server("server-1"), b.server("server-2")
	c := b.client("ann")
	caller.send(question(c, caller, "i1"))
	if got := c.next(b); got != "Ask" {
		t.Fatalf("the client is called with %q", got)
	}
	if m := await[*wire.ClientInvocation](router); m.InvocationID != "i1" || m.CallerServerID != "server-1" {
		t.Errorf("the app server of the client is told %+v", m)
	}
	json := "json"
	router.send(&wire.ClientCompletion{InvocationID: "i1", ConnectionID: c.ID(), CallerServerID: router.id, Protocol: &json, Payload: []byte("result")})
	if m := await[*wire.ClientCompletion](caller); m.InvocationID != "i1" || string(m.Payload) != "result" || wire.Text(m.Protocol) != "json" {
		t.Errorf("the caller gets %+v", m)
	}
	none := func() bool { return a.g.Stats().PendingResults == 0 && b.g.Stats().PendingResults == 0 }
	f.until("results are pending", none)

	// The caller has a connection to the client's gateway as well, and the client.
	both := b.serverWith("server-1", serverOptions{})
	_ = router.conn.Close()
	<-c.Done()
	own := b.client("bob")
	caller.send(question(own, caller, "i2"))
	own.next(b)
	caller.send(&wire.ClientCompletion{InvocationID: "i2", ConnectionID: own.ID(), CallerServerID: caller.id, Protocol: &json, Payload: []byte{}})
	f.until("results are pending", none)
	caller.send(question(own, caller, "i3"))
	own.next(b)
	both.send(&wire.ClientCompletion{InvocationID: "i3", ConnectionID: own.ID(), CallerServerID: caller.id, Protocol: &json, Payload: []byte{}})
	f.until("results are pending", none)

	// What cannot come fails.
	caller.send(&wire.ClientInvocation{InvocationID: "nobody", ConnectionID: "unknown", CallerServerID: "server-1"})
	if m := await[*wire.ErrorCompletion](caller); m.InvocationID != "nobody" || m.Error != "Connection does not exist." {
		t.Errorf("the client is unknown: %+v", m)
	}
	caller.send(question(own, caller, "gone"))
	own.next(b)
	own.Abort()
	if m := await[*wire.ErrorCompletion](caller); m.InvocationID != "gone" || m.Error != "Connection is disconnected." {
		t.Errorf("the client is gone: %+v", m)
	}
	last := b.client("eve")
	caller.send(question(last, caller, "shutdown"))
	last.next(b)
	b.shutdown()
	if m := await[*wire.ErrorCompletion](caller); m.InvocationID != "shutdown" {
		t.Errorf("the gateway is gone: %+v", m)
	}
	f.until("results are pending", none)
}

// With one address a balancer chooses where an app server's question arrives.
func TestAClientIsRefreshedByWayOfAnotherGateway(t *testing.T) {
	f := newFleetOf(t, 3, gateway.Options{})
	s, owner := f.all[0].server("server-1"), f.all[1].server("server-2")
	c := f.all[1].client("ann")
	claims := func(what string, m wire.Message) []wire.Claim {
		s.send(m)
		ack := await[*wire.Ack](s)
		list, err := wire.ParseClaims(ack.Payload)
		if ack.Status != wire.AckOK || err != nil || len(list) == 0 {
			t.Errorf("%s: %+v, error %v", what, ack, err)
		}
		return list
	}
	ann, writer := wire.Claim{Type: "asrs.s.uid", Value: "ann"}, wire.Claim{Type: "kind", Value: "writer"}
	if list := claims("claims", &wire.GetConnectionClaims{ConnectionToken: c.Token(), AckID: 1}); !slices.Contains(list, ann) {
		t.Errorf("the claims are %v", list)
	}
	if list := claims("refresh", &wire.RefreshAuth{ConnectionToken: c.Token(), Claims: []wire.Claim{ann, writer}, ExpireTime: wire.NoExpiry, AckID: 2}); !slices.Contains(list, writer) {
		t.Errorf("the new claims are %v", list)
	}
	if told := await[*wire.UpdateConnectionClaims](owner); told.ConnectionID != c.ID() || !slices.Contains(told.Claims, writer) {
		t.Errorf("the app server of the client is told %+v", told)
	}
	for _, test := range []struct {
		m    wire.Message
		want int
	}{
		{&wire.RefreshAuth{ConnectionToken: c.Token(), Claims: []wire.Claim{writer}, ExpireTime: wire.NoExpiry}, wire.AckForbidden},
		{&wire.RefreshAuth{ConnectionToken: "unknown", Claims: []wire.Claim{ann}, ExpireTime: wire.NoExpiry}, wire.AckNotFound},
		{&wire.GetConnectionClaims{ConnectionToken: "unknown"}, wire.AckNotFound},
	} {
		if got := s.ask(test.m); got != test.want {
			t.Errorf("%T%+v: status %d, want %d", test.m, test.m, got, test.want)
		}
	}
}

func TestRESTReachesAllGateways(t *testing.T) {
	f := newFleetOf(t, 2, gateway.Options{Serverless: true})
	a, b := f.all[0], f.all[1]
	ann, bob := a.client("ann"), b.client("bob")
	const v = "?api-version=2024-12-01"
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/api/hubs/chat/users/bob" + v, 200}, {"GET", "/api/hubs/chat/users/nobody" + v, 404},
		{"GET", "/api/hubs/chat/connections/" + bob.ID() + v, 200},
		{"PUT", "/api/hubs/chat/groups/g/connections/" + bob.ID() + v, 200}, {"PUT", "/api/hubs/chat/groups/g/connections/nobody" + v, 404},
		{"GET", "/api/hubs/chat/groups/g" + v, 200}, {"PUT", "/api/hubs/chat/users/bob/groups/h" + v, 200},
		{"GET", "/api/hubs/chat/users/bob/groups/h" + v, 200},
	} {
		if got, _, body := a.rest(test.method, test.path, "", ""); got != test.want {
			t.Errorf("%s %s: %d %s", test.method, test.path, got, body)
		}
	}
	if _, _, body := a.rest("GET", "/api/hubs/chat/groups/g/connections"+v, "", ""); !strings.Contains(body, bob.ID()) {
		t.Errorf("members %s", body)
	}
	a.rest("POST", "/api/hubs/chat/groups/g/:send"+v, "application/json", `{"target":"group","arguments":[]}`)
	a.rest("POST", "/api/hubs/chat/connections/"+bob.ID()+"/:send"+v, "application/json", `{"target":"one","arguments":[]}`)
	a.end("chat")
	if got := bob.untilEnd(b); !slices.Equal(got, []string{"group", "one"}) {
		t.Errorf("bob got %q", got)
	}
	if got := ann.untilEnd(a); len(got) > 0 {
		t.Errorf("ann got %q", got)
	}

	answered := make(chan string, 1)
	go func() {
		_, _, body := a.rest("POST", "/api/hubs/chat/connections/"+bob.ID()+"/:invoke"+v, "application/json", `{"target":"Ask","arguments":[]}`)
		answered <- body
	}()
	call, _ := bob.calls.Next(b.ctx.Done())
	if call == nil {
		t.Fatal("bob is not asked")
	}
	if err := bob.Write(&protocol.Completion{InvocationID: call.InvocationID, Kind: protocol.ResultValue, RawResult: protocol.Raw(`42`)}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Result   []byte
		Protocol string
	}
	if err := json.Unmarshal([]byte(<-answered), &got); err != nil || !strings.Contains(string(got.Result), `"result":42`) || got.Protocol != "json" {
		t.Errorf("answer %q, %s, error %v", got.Result, got.Protocol, err)
	}
	if status, _, body := a.rest("DELETE", "/api/hubs/chat/connections/"+bob.ID()+v, "", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	<-bob.Done()
}

func TestRESTMayStayAtItsGateway(t *testing.T) {
	f := newFleetOf(t, 2, gateway.Options{LocalREST: true})
	a, b := f.all[0], f.all[1]
	s := a.server("server-1")
	b.server("server-2")
	ann, bob := a.client("ann"), b.client("bob")
	for _, w := range f.all { // as a caller does that knows both
		w.rest("POST", "/api/v1/hubs/chat", "application/json", `{"target":"once","arguments":[]}`)
	}
	if status, _, _ := a.rest("GET", "/api/v1/hubs/chat/users/bob", "", ""); status != http.StatusNotFound {
		t.Errorf("the user of another gateway: %d", status)
	}
	s.send(&wire.BroadcastData{Payloads: both("end")})
	for _, c := range []*client{ann, bob} {
		if got := c.untilEnd(a); !slices.Equal(got, []string{"once"}) {
			t.Errorf("got %q", got)
		}
	}
}

func TestAnAppServerIsSentToAGatewayThatHasNone(t *testing.T) {
	f := newFleetOf(t, 2, gateway.Options{})
	a, b := f.all[0], f.all[1]
	s := a.server("server-1")
	if m := await[*wire.Ping](s); !slices.Equal(m.Messages, []string{"target", "gateway-2"}) {
		t.Fatalf("ping %q", m.Messages)
	}
	// The balancer takes it to the gateway that has it already: that says no.
	wrong := a.connectServer("server-1", serverOptions{hub: "chat", target: "gateway-2"})
	wrong.send(&wire.HandshakeRequest{Version: 1, ConnectionType: wire.ConnectionOnDemand})
	if m := await[*wire.HandshakeResponse](wrong); wire.Text(m.ErrorMessage) == "" {
		t.Error("a connection for another gateway is taken")
	}
	<-wrong.over
	b.serverWith("server-1", serverOptions{target: "gateway-2", hello: &wire.HandshakeRequest{Version: 1, ConnectionType: wire.ConnectionOnDemand}})
	ann := b.client("ann")
	s.send(&wire.BroadcastData{Payloads: both("end")})
	ann.untilEnd(b)
}

func TestAGatewayServesItsOwnWithoutRedis(t *testing.T) {
	f := newFleetOf(t, 2, gateway.Options{})
	a, b := f.all[0], f.all[1]
	s := a.server("server-1")
	b.server("server-2")
	ann, bob := a.client("ann"), b.client("bob")
	f.redis.Close()
	f.until("the loss is not noticed", func() bool {
		return s.ask(&wire.CheckUserExistenceWithAck{UserID: "nobody"}) == wire.AckTimeout
	})
	s.send(&wire.BroadcastData{Payloads: both("alone")})
	if got := ann.next(a); got != "alone" {
		t.Errorf("got %q", got)
	}
	for _, m := range []wire.Message{&wire.CheckUserExistenceWithAck{UserID: "ann"}, &wire.JoinGroupWithAck{ConnectionID: ann.ID(), GroupName: "g"}} {
		if status := s.ask(m); status != wire.AckOK {
			t.Errorf("%T: status %d", m, status)
		}
	}
	f.until("what is lost is not counted", func() bool { return a.g.Stats().FleetDropped > 0 })
	if err := f.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	f.until("Redis is not used again", func() bool {
		return s.ask(&wire.CheckUserExistenceWithAck{UserID: "bob"}) == wire.AckOK
	})
	s.send(&wire.BroadcastData{Payloads: both("end")})
	bob.untilEnd(b) // what was sent before may come, if Redis was back in five seconds
}

// A logOf passes the lines of a log on.
type logOf chan string

func (l logOf) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default: // the test has ended
	}
	return len(p), nil
}

func TestTwoGatewaysOfOneNameSaySo(t *testing.T) {
	f := newFleetOf(t, 1, gateway.Options{})
	client := redis.NewClient(&redis.Options{Addr: f.redis.Addr(), MaxRetries: -1})
	defer client.Close()
	lines := make(logOf, 100)
	g, err := gateway.New(&gateway.Options{
		AccessKeys: []string{key}, Redis: client, RedisPrefix: "test:", InstanceID: "gateway-1", Logger: slog.New(slog.NewTextHandler(lines, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(<-lines, "the same InstanceID") {
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Whoever reaches the Redis is trusted, but what cannot be read ends nothing.
func TestAGatewayLivesWhateverAnotherSays(t *testing.T) {
	f := newFleetOf(t, 2, gateway.Options{MaximumMessageSize: 1 << 20})
	a, b := f.all[0], f.all[1]
	s := a.server("server-1")
	b.server("server-2")
	bob := b.client("bob")
	client := redis.NewClient(&redis.Options{Addr: f.redis.Addr(), ReadTimeout: -1, WriteTimeout: -1})
	defer client.Close()
	const channel = "test:hubwire.gateway:all"
	heard := client.Subscribe(a.ctx, channel)
	if _, err := heard.Receive(a.ctx); err != nil {
		t.Fatal(err)
	}
	var letters []string
	for _, m := range []wire.Message{
		&wire.BroadcastData{Payloads: both("real")}, &wire.CheckUserExistenceWithAck{UserID: "nobody"},
		&wire.GroupMemberQuery{GroupName: "g"}, question(bob, s, "i1"),
	} {
		s.send(m)
		for {
			got, err := heard.ReceiveMessage(a.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(got.Payload, "chat") && strings.Contains(got.Payload, "server-1") { // no greeting
				letters = append(letters, got.Payload)
				break
			}
		}
	}
	if err := heard.Close(); err != nil { // else what is published waits for it
		t.Fatal(err)
	}
	pipe := client.Pipeline()
	for _, letter := range letters {
		letter = strings.Replace(letter, "gateway-1", "gateway-9", 1)
		for i := 0; i < len(letter); i += 2 {
			changed := []byte(letter)
			changed[i] ^= byte(1 << (i % 8))
			pipe.Publish(a.ctx, channel, letter[:i])
			pipe.Publish(a.ctx, channel, changed)
			pipe.Publish(a.ctx, "test:hubwire.gateway:hubwire:to:gateway-2", changed)
		}
	}
	for i := range 1200 { // greetings of more gateways than there may be
		id := fmt.Sprintf("gateway-%04d", i+1000)
		pipe.Publish(a.ctx, channel, "\x99\x01\x04\xac"+id+"\xa0\xa0\xa0\x00\x00\xc4\x01\x90")
	}
	if _, err := pipe.Exec(a.ctx); err != nil {
		t.Fatal(err)
	}
	ann, eve := a.client("ann"), b.client("eve") // bob may have got what no client can read
	s.send(&wire.BroadcastData{Payloads: both("end")})
	ann.untilEnd(a)
	eve.untilEnd(b) // after all that was published before
	if n := b.g.Stats().Peers; n > 1000 {
		t.Errorf("%d other gateways are known", n)
	}
}
