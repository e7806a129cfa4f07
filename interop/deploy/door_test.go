package deploy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doorTime bounds the whole play. It takes some seconds.
const doorTime = 2 * time.Minute

const (
	haproxyFile = root + "/deploy/haproxy/haproxy.cfg"
	gatewayFile = root + "/deploy/gateway/haproxy.cfg"
)

// The files as they stand, whose names have no addresses here.
func TestHaproxyTakesItsFiles(t *testing.T) {
	for _, file := range []string{haproxyFile, gatewayFile} {
		if out, err := exec.Command(harness.Tool(t, "haproxy"), "-c", "-f", file).CombinedOutput(); err != nil {
			t.Errorf("haproxy: %s: %v\n%s", file, err, out)
		}
	}
}

// A compose is what docker-compose.yml starts, as processes of this machine:
// haproxy with its file but for the addresses, two nodes and a Redis.
type compose struct {
	program, redis, door string
	addresses            map[string]string // of node1 and node2
	nodes                map[string]*harness.Process
	web                  *http.Client
}

func startCompose(t *testing.T) *compose {
	t.Helper()
	config, err := os.ReadFile(haproxyFile)
	if err != nil {
		t.Fatal(err)
	}
	c := &compose{program: demo(t), redis: "redis://" + harness.Redis(t), addresses: map[string]string{}, nodes: map[string]*harness.Process{}, web: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(c.web.CloseIdleConnections)
	text := strings.Replace(string(config), "bind :8080", "bind ADDR", 1)
	for _, name := range []string{"node1", "node2"} {
		c.start(t, name)
		before := text
		if text = strings.Replace(text, name+":8080", c.addresses[name], 1); text == before {
			t.Fatalf("haproxy's file has no %s:8080", name)
		}
	}
	c.door = harness.Proxy(t, "haproxy", text)
	return c
}

// start starts a node as Compose does, where it was before, and waits until it is ready.
func (c *compose) start(t *testing.T, name string) {
	t.Helper()
	c.nodes[name], c.addresses[name] = harness.StartListening(t, c.addresses[name], func(address string) *exec.Cmd {
		cmd := exec.Command(c.program, "-node", address, "-drain", "2s")
		cmd.Env = append(os.Environ(), "REDIS_URL="+c.redis)
		return cmd
	}, func(address string) error { return c.ready(t, "http://"+address) })
}

func (c *compose) ready(t *testing.T, base string) error {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := c.web.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return errors.Join(err, errors.New(answer.Status+" "+string(text)))
	}
	return nil
}

// await waits until f succeeds.
func await(t *testing.T, what string, f func() error) {
	t.Helper()
	harness.Await(t, what, doorTime, f)
}

// A visitor is a client that keeps its cookies, as a browser does.
type visitor struct {
	*hubclient.Client
	transport string
	jar       http.CookieJar
	posts     *hubclient.Queue[int]
}

// enter connects at the door; a jar is that of a client that was here before.
func (c *compose) enter(t *testing.T, transport string, jar http.CookieJar) *visitor {
	t.Helper()
	if jar == nil {
		jar, _ = cookiejar.New(nil) // never fails
	}
	v := &visitor{transport: transport, jar: jar, posts: &hubclient.Queue[int]{}}
	ctx, cancel := context.WithTimeout(t.Context(), doorTime)
	defer cancel()
	client, err := hubclient.Dial(ctx, hubclient.Options{
		ConnOptions: hubclient.ConnOptions{URL: c.door + "/hub", Transport: transport, Jar: jar},
		Receive: func(m *protocol.Invocation) {
			var post struct{ ID int }
			if m.Target == "PostPublished" && (protocol.JSON{}).Unmarshal(m.RawArguments[0], &post) == nil {
				v.posts.Put(post.ID)
			}
		},
	})
	if err != nil {
		t.Fatalf("%s: %v", transport, err)
	}
	v.Client = client
	t.Cleanup(client.Close)
	if err := client.Invoke(ctx, nil, "JoinGroup", "readers"); err != nil {
		t.Fatalf("%s, just connected: %v", transport, err)
	}
	return v
}

// node is where the cookie says that the client belongs.
func (c *compose) node(t *testing.T, v *visitor) string {
	t.Helper()
	door, err := url.Parse(c.door)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range v.jar.Cookies(door) {
		if cookie.Name == "NODE" {
			return cookie.Value
		}
	}
	t.Fatalf("a client by %s has no cookie of the door", v.transport)
	return ""
}

// everywhere returns a client at each node by each transport.
func (c *compose) everywhere(t *testing.T) map[string][]*visitor {
	t.Helper()
	at := map[string][]*visitor{}
	for _, transport := range []string{hubclient.WebSockets, hubclient.ServerSentEvents, hubclient.LongPolling} {
		missing := map[string]bool{"node1": true, "node2": true}
		await(t, transport+" at both nodes", func() error {
			v := c.enter(t, transport, nil)
			if name := c.node(t, v); missing[name] {
				delete(missing, name)
				at[name] = append(at[name], v)
			}
			if len(missing) > 0 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	return at
}

// publish publishes a post through the door, and all must receive it.
func (c *compose) publish(t *testing.T, id string, visitors ...*visitor) {
	t.Helper()
	answer, err := c.web.Post(c.door+"/api/posts/"+id+"/publish", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("publish: %s", answer.Status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), doorTime)
	defer cancel()
	for _, v := range visitors {
		if got, ok := v.posts.Next(ctx.Done()); !ok || id != cmp.Or(map[int]string{1: "1", 2: "2", 3: "3"}[got], "none") {
			t.Errorf("a client by %s at %s has received post %d (%v), want %s", v.transport, c.node(t, v), got, ok, id)
		}
	}
}

// comesAnywhere connects with one jar until it is at the other node: were a new
// connection led by the old cookie, it would begin at a node that drains.
func (c *compose) comesAnywhere(t *testing.T, old http.CookieJar) {
	t.Helper()
	door, err := url.Parse(c.door)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(door, old.Cookies(door))
	home := c.node(t, &visitor{jar: jar})
	for range 20 { // the node with fewer connections comes first
		if c.node(t, c.enter(t, hubclient.WebSockets, jar)) != home {
			return
		}
	}
	t.Errorf("a client that has the cookie of %s begins its new connections there", home)
}

// callUntilTheEnd calls until the node has sent the client away.
func (c *compose) callUntilTheEnd(t *testing.T, v *visitor, home string) {
	ctx, cancel := context.WithTimeout(t.Context(), doorTime)
	defer cancel()
	for v.Invoke(ctx, nil, "JoinGroup", "readers") == nil {
	}
	select {
	case <-v.Done():
	case <-ctx.Done():
		t.Errorf("a call of a client by %s has failed, and the connection goes on", v.transport)
		return
	}
	said, ok := errors.AsType[*hubclient.CloseMessage](v.Err())
	if !ok || !said.AllowReconnect {
		t.Errorf("a client by %s at a node that drains ends with %v, want a Close that lets it reconnect", v.transport, v.Err())
	}
	if at := c.node(t, v); at != home {
		t.Errorf("a client by %s was led from %s to %s while its node drained", v.transport, home, at)
	}
}

// What docker-compose.yml promises: one address; a client stays at its node, by
// every transport; a node that drains sends its clients to the other one, and
// they come by the same cookies; so do those of a node that is killed.
func TestOneDoorKeepsClientsAtTheirNodeAndFindsThemAnother(t *testing.T) {
	harness.Long(t, "starts haproxy, Redis and two nodes")
	c := startCompose(t)
	at := c.everywhere(t)
	all := append(at["node1"], at["node2"]...)
	c.publish(t, "1", all...)

	c.comesAnywhere(t, at["node1"][0].jar)

	drained := make(chan error, 1)
	go func() { drained <- c.nodes["node1"].Stop() }() // as docker compose stop node1
	moved := make([]*visitor, len(at["node1"]))
	for i, v := range at["node1"] {
		c.callUntilTheEnd(t, v, "node1")
		moved[i] = c.enter(t, v.transport, v.jar)
		if home := c.node(t, moved[i]); home != "node2" {
			t.Errorf("a client by %s whose node drains is at %s again", v.transport, home)
		}
	}
	if err := <-drained; err != nil {
		t.Errorf("node1 has ended with %v", err)
	}
	c.publish(t, "2", append(moved, at["node2"]...)...)

	c.start(t, "node1")
	await(t, "the door to use node1 again", func() error {
		if v := c.enter(t, hubclient.WebSockets, nil); c.node(t, v) != "node1" {
			return errors.New("not yet")
		}
		return nil
	})
	c.nodes["node2"].Kill() // as docker compose kill node2
	var again []*visitor
	for _, v := range append(moved, at["node2"]...) {
		<-v.Done()
		next := c.enter(t, v.transport, v.jar)
		if home := c.node(t, next); home != "node1" {
			t.Errorf("a client by %s whose node was killed is at %s", v.transport, home)
		}
		again = append(again, next)
	}
	c.publish(t, "3", again...)
}
