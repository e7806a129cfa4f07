package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/server"
)

// types are the kinds of messages that came, in order.
func types(list []got) string {
	var names []string
	for _, g := range list {
		if g.m == nil {
			names = append(names, fmt.Sprint("close ", g.close))
			continue
		}
		names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", g.m), "*wire."))
	}
	return strings.Join(names, " ")
}

func TestWhatACallSendsLeavesBeforeItsAnswerOnTheSameConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.hub(Options{}, server.Options{})
		c := f.conn(3)
		c.open("c1")
		c.take()
		const call = `{"type":1,"invocationId":"%d","target":"Send","arguments":["%s",["g"],[],"hi"]}` + "\x1e"
		for i, form := range []string{"All", "Group", "Users", "Caller", "Groups", "Others"} {
			c.data("c1", fmt.Sprintf(call, i, form))
		}
		want := "BroadcastData ConnectionData GroupBroadcastData ConnectionData UserData ConnectionData MultiConnectionData ConnectionData GroupBroadcastData ConnectionData BroadcastData ConnectionData"
		if got := types(c.take()); got != want {
			t.Errorf("on the client's connection:\n got %s\nwant %s", got, want)
		}
	})
}

func TestSendsWaitForAServiceThatDoesNotReadAndGoOnWithAnotherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		h := f.hub(Options{InitialConnections: 1, MaximumQueuedBytes: 32 << 10}, server.Options{})
		first := f.conn(0)
		<-first.reading
		defer func() { first.reading <- struct{}{} }()
		text := strings.Repeat("x", 8<<10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		sends := 0
		for ; err == nil && sends < 1000; sends++ {
			err = h.Clients().All().Send(ctx, "M", text)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("after %d sends: %v, want that they wait", sends, err)
		}
		time.Sleep(2 * writeTimeout)
		if err := Health(h); err != nil {
			t.Fatalf("there is no other connection: %v", err)
		}
		if err := h.Clients().All().Send(t.Context(), "M", "again"); err != nil {
			t.Error(err)
		}
		if got := types(f.conn(1).take()); got != "HandshakeRequest BroadcastData" {
			t.Errorf("on the next connection: %s", got)
		}
	})
}

func TestAnswersToAClientKeepTheirOrderWhileTheServiceDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.hub(Options{InitialConnections: 1, MaximumQueuedBytes: 4 << 10}, server.Options{})
		c := f.conn(0)
		c.open("c1")
		c.take()
		<-c.reading
		const n = 300
		for i := range n {
			c.data("c1", fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Large","arguments":[1000]}`+"\x1e", i))
			synctest.Wait()
		}
		c.reading <- struct{}{}
		list := c.take()
		if len(list) != n {
			t.Fatalf("%d answers, want %d", len(list), n)
		}
		for i, g := range list {
			if m, ok := g.m.(*wire.ConnectionData); !ok || !strings.Contains(string(m.Payload), fmt.Sprintf(`"invocationId":"%d"`, i)) {
				t.Fatalf("answer %d is %T", i, g.m)
			}
		}
	})
}

func TestAClientThatSendsMoreThanMayWaitIsClosedAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.hub(Options{InitialConnections: 1, MaximumWaitingInput: 128 << 10}, server.Options{StreamBufferCapacity: 1})
		c := f.conn(0)
		c.open("fast")
		c.open("other")
		c.take()
		c.data("fast", `{"type":1,"invocationId":"1","target":"Wait","arguments":[]}`+"\x1e")
		// The next call waits for the first one, and all that is behind waits with it.
		for i := range 100 {
			c.data("fast", fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Echo","arguments":["%s"]}`+"\x1e", i+2, strings.Repeat("x", 4<<10)))
			synctest.Wait()
		}
		closed := false
		for _, g := range c.take() {
			if m, ok := g.m.(*wire.CloseConnection); ok {
				closed = m.ConnectionID == "fast"
			}
		}
		if !closed {
			t.Error("the client was not closed")
		}
		c.data("other", `{"type":1,"invocationId":"9","target":"Echo","arguments":["still"]}`+"\x1e")
		if got := types(c.take()); got != "ConnectionData" {
			t.Errorf("the other client got %q", got)
		}
	})
}

func TestAServiceConnectionIsTriedAgainLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		var at []time.Duration
		begin := time.Now()
		f.status = func(int) int {
			at = append(at, time.Since(begin))
			return http.StatusServiceUnavailable
		}
		f.hub(Options{InitialConnections: 1}, server.Options{})
		time.Sleep(10 * time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, least := range []time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 60, 60} {
			if i >= len(at) {
				t.Fatalf("only %d tries: %v", len(at), at)
			}
			wait := at[i]
			if i > 0 {
				wait -= at[i-1]
			}
			if low := least * time.Second; wait < low || wait > low+time.Second {
				t.Errorf("try %d came after %v, want %v and up to a second more", i, wait, low)
			}
		}
	})
}

func TestOneConnectionTriesForAllAndTheOthersFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		begin := time.Now()
		tries := map[int]int{} // by the second
		f.status = func(int) int {
			second := int(time.Since(begin) / time.Second)
			if second < 30 {
				tries[second]++
				return http.StatusServiceUnavailable
			}
			return http.StatusSwitchingProtocols
		}
		f.hub(Options{}, server.Options{})
		time.Sleep(55 * time.Second) // the service is silent: 30 s later the connections begin anew
		f.mu.Lock()
		for second, n := range tries {
			if second > 0 && n > 2 {
				t.Errorf("%d tries in second %d, want that one connection tries for all", n, second)
			}
		}
		f.mu.Unlock()
		synctest.Wait()
		if n := len(f.all()); n != 5 {
			t.Errorf("%d connections once the service is there, want 5", n)
		}
	})
}

func TestWhatIsSentGoesToEveryEndpointThatIsOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		h := f.hub(Options{InitialConnections: 1, Endpoints: []Endpoint{
			{ConnectionString: "Endpoint=http://east;AccessKey=a;Version=1.0;"},
			{ConnectionString: "Endpoint=http://west;AccessKey=b;Version=1.0;"},
		}}, server.Options{})
		f.conn(1)
		by := map[string]*fakeConn{}
		for _, c := range f.all() {
			by[strings.TrimSuffix(c.host, ":80")] = c
			c.take()
		}
		if err := h.Clients().All().Send(t.Context(), "M", "hi"); err != nil {
			t.Error(err)
		}
		joined := make(chan error, 1)
		go func() { joined <- h.Groups().Add(t.Context(), "c1", "g") }()
		ids := map[string]int{}
		for name, c := range by {
			list := c.take()
			if got := types(list); got != "BroadcastData JoinGroupWithAck" {
				t.Errorf("%s got %s", name, got)
				continue
			}
			ids[name] = list[1].m.(*wire.JoinGroupWithAck).AckID
		}
		if ids["east"] == ids["west"] {
			t.Errorf("both have the ack id %d", ids["east"])
		}
		by["west"].send(&wire.Ack{AckID: ids["west"], Status: wire.AckNotFound})
		synctest.Wait()
		select {
		case err := <-joined:
			t.Errorf("done by an endpoint that does not know the client: %v", err)
		default:
		}
		by["east"].send(&wire.Ack{AckID: ids["east"], Status: wire.AckOK})
		if err := <-joined; err != nil {
			t.Error(err)
		}
		f.answer(http.StatusServiceUnavailable)
		by["west"].close(1006)
		synctest.Wait()
		if err := h.Clients().All().Send(t.Context(), "M", "only east"); err != nil {
			t.Error(err)
		}
		if got := types(by["east"].take()); got != "BroadcastData" {
			t.Errorf("with west gone east got %s", got)
		}
	})
}

func TestASecondaryEndpointOnlySends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.hub(Options{InitialConnections: 1, Endpoints: []Endpoint{{ConnectionString: "Endpoint=http://b;AccessKey=b;Version=1.0;", Secondary: true}}}, server.Options{})
		hello := f.conn(0).take()[0].m.(*wire.HandshakeRequest)
		if hello.ConnectionType != wire.ConnectionWeak {
			t.Errorf("its connections are of type %d", hello.ConnectionType)
		}
	})
}

func TestADrainAsksTheServiceForNoMoreClientsAndTellsEachToLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		h := f.hub(Options{InitialConnections: 1}, server.Options{})
		c := f.conn(0)
		c.open("c1")
		c.take()
		done := make(chan error, 1)
		go func() { done <- h.Drain(t.Context(), server.DrainOptions{}) }()
		time.Sleep(6 * time.Second)
		list := c.take()
		if got := types(list); got != "Ping" || strings.Join(list[0].m.(*wire.Ping).Messages, " ") != "shutdown fin:2" {
			t.Fatalf("after the notice: %s", got)
		}
		c.send(&wire.Ping{Messages: []string{pingShutdown, finack}})
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := types(c.take()); got != "ConnectionData CloseConnection close 1000" {
			t.Errorf("then: %s", got)
		}
	})
}

func TestAUserIsWhatTheClaimsSay(t *testing.T) {
	user := userOf([]wire.Claim{
		{Type: "asrs.s.uid", Value: "u1"}, {Type: "asrs.s.uid", Value: "evil"}, {Type: "asrs.s.aeo", Value: "1795699894"}, {Type: "asrs.s.coae", Value: "true"},
		{Type: dotnetNameID, Value: "n1"}, {Type: dotnetName, Value: "Jo"}, {Type: dotnetRole, Value: "admin"}, {Type: dotnetRole, Value: "dev"},
		{Type: "asrs.u.exp", Value: "1"}, {Type: "exp", Value: "2"}, {Type: "aud", Value: "x"}, {Type: "custom", Value: "c"},
	})
	if user.ID != "u1" || user.Name != "Jo" || user.Expires.Unix() != 1795699894 || user.Anonymous() {
		t.Errorf("user %+v", user)
	}
	for name, want := range map[string]string{
		"nameid": "[n1]", "sub": "[n1]", dotnetNameID: "[n1]", "role": "[admin dev]", "roles": "[admin dev]",
		"exp": "[1]", "aud": "[]", "custom": "[c]", "asrs.s.uid": "[]",
	} {
		if got := fmt.Sprint(user.ClaimValues(name)); got != want {
			t.Errorf("claim %s is %s, want %s", name, got, want)
		}
	}
	if none := userOf([]wire.Claim{{Type: "asrs.s.uid", Value: "u1"}}); none.ID != "u1" || none.Claims != nil {
		t.Errorf("without claims of its own: %+v", none)
	}
	if !userOf(nil).Anonymous() {
		t.Error("without any claim there is a user")
	}
}

func TestARequestIsWhatTheServiceTellsOfIt(t *testing.T) {
	header := headerOf([]wire.Header{{Name: "x-forwarded-for", Values: []string{"10.0.0.7, 10.0.0.1"}}, {Name: "Host", Values: []string{"front.example"}}, {Name: "custom", Values: []string{"a", "b"}}})
	r := requestOf(t.Context(), header, "?hub=chat&asrs.op=%2Fdeep%2Fchat&x=1&access_token=secret")
	if r.URL.Path != "/deep/chat" || r.URL.Query().Get("x") != "1" || r.RemoteAddr != "10.0.0.7:0" || r.Host != "front.example" || len(r.Header["Custom"]) != 2 {
		t.Errorf("request %v %v %v %v", r.URL, r.RemoteAddr, r.Host, r.Header)
	}
	if strings.Contains(r.RequestURI+r.URL.RawQuery, "secret") {
		t.Error("the token is in it")
	}
	if bare := requestOf(t.Context(), http.Header{}, ""); bare.URL.Path != "/" || bare.RemoteAddr != "" {
		t.Errorf("without anything: %v from %q", bare.URL, bare.RemoteAddr)
	}
}

func TestAHubBehindTheServiceIsRefusedWithWhatItCannotHave(t *testing.T) {
	for _, c := range []struct {
		o    Options
		opts server.Options
		want error
	}{
		{Options{}, server.Options{}, ErrNoEndpoint},
		{Options{ConnectionString: "Endpoint=https://x;Version=1.0;"}, server.Options{}, ErrNoKey},
		{Options{ConnectionString: atService, Endpoints: []Endpoint{{ConnectionString: atService}}}, server.Options{}, ErrTwoEndpoints},
		{Options{ConnectionString: atService, HubName: "no name"}, server.Options{}, ErrHubName},
		{Options{ConnectionString: atService}, server.Options{LifetimeManager: server.NewLifetimeManager()}, ErrLifetimeManager},
	} {
		if _, err := NewHub(&Chat{}, &c.o, &c.opts); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
}
