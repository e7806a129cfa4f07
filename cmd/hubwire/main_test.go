package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/protocol"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A running is a gateway that was started by the command.
type running struct {
	t      *testing.T
	string string // for app servers
	url    string
	again  chan os.Signal
	stop   context.CancelFunc
	code   chan int
	out    *bufio.Scanner
	log    hubclient.Queue[string] // its lines
}

func start(t *testing.T, env map[string]string, args ...string) *running {
	t.Helper()
	out, outWriter := io.Pipe()
	log, logWriter := io.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, again: make(chan os.Signal), stop: stop, code: make(chan int, 1), out: bufio.NewScanner(out)}
	go func() {
		defer r.log.End()
		for lines := bufio.NewScanner(log); lines.Scan(); {
			r.log.Put(lines.Text())
		}
	}()
	go func() {
		r.code <- run(ctx, append([]string{"gateway", "-listen", "127.0.0.1:0"}, args...), func(name string) string { return env[name] }, r.again, outWriter, logWriter)
		_ = outWriter.Close() // never fails
		_ = logWriter.Close() // never fails
	}()
	for range 2 { // the connection string is in the second line
		if !r.out.Scan() {
			t.Fatal("nothing is printed")
		}
	}
	r.string = r.out.Text()
	go func() {
		for r.out.Scan() {
		}
	}()
	host, rest, _ := strings.Cut(strings.TrimPrefix(r.string, "Endpoint="), ";Port=")
	port, _, _ := strings.Cut(rest, ";")
	r.url = host + ":" + port
	r.until("gateway listens")
	return r
}

// until reads the log up to a line with text.
func (r *running) until(text string) {
	r.t.Helper()
	for line, ok := r.log.Next(nil); ok; line, ok = r.log.Next(nil) {
		if strings.Contains(line, text) {
			return
		}
	}
	r.t.Fatalf("the log has no line with %q", text)
}

func (r *running) end() {
	r.t.Helper()
	r.stop()
	if code := <-r.code; code != 0 {
		r.t.Errorf("the command ends with %d", code)
	}
}

func TestTheFirstRunPrintsAConnectionStringThatIsServed(t *testing.T) {
	r := start(t, nil)
	defer r.end()
	if !strings.HasPrefix(r.string, "Endpoint=http://127.0.0.1;Port=") || !strings.Contains(r.string, ";AccessKey=") || !strings.HasSuffix(r.string, ";Version=1.0;") {
		t.Errorf("it prints %q", r.string)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	for path, want := range map[string]int{"/api/health": 200, "/client/negotiate?hub=x": 405, "/other": 404} {
		answer, err := web.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close() // the status is all
		if answer.StatusCode != want && answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s is answered %d, want %d", path, answer.StatusCode, want)
		}
	}
}

func TestKeysAreReadAgainFromTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second := strings.Repeat("a", 32), strings.Repeat("b", 32)
	write(`{"key": "` + first + `", "max-clients": 10}`)
	r := start(t, map[string]string{"HUBWIRE_GATEWAY_CONFIG": file})
	defer r.end()
	if !strings.Contains(r.string, "AccessKey="+first+";") {
		t.Errorf("it prints %q", r.string)
	}
	write(`{"key": "` + second + `", "key2": "` + first + `"}`)
	r.again <- syscall.SIGTERM // any signal that is delivered
	r.until("keys=2")
	write(`{"key": "short"}`)
	r.again <- syscall.SIGTERM
	r.until("settings not taken over")
	write(`{}`)
	r.again <- syscall.SIGTERM
	r.until("there is no key")
}

func TestAFlagCountsBeforeTheEnvironmentAndThatBeforeTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.json")
	if err := os.WriteFile(file, []byte(`{"max-clients": 1, "drain": "1s", "log-level": "warn", "behind-proxy": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HUBWIRE_GATEWAY_MAX_CLIENTS": "2", "HUBWIRE_GATEWAY_DRAIN": "2s"}
	s, err := readSettings([]string{"-config", file, "-max-clients", "3"}, func(name string) string { return env[name] }, io.Discard)
	if err != nil || s.maxClients != 3 || s.drain != 2*time.Second || s.logLevel != "warn" || !s.behindProxy {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.json")
	if err := os.WriteFile(file, []byte(`{"lisen": "x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("k", 32)
	for want, args := range map[string][]string{
		"no setting":            {"extra"},
		`"lisen" is no setting`: {"-config", file},
		"no such file":          {"-config", file + "x"},
		"32 characters":         {"-key", "short"},
		"semicolon":             {"-key", key + ";"},
		"key2 without key":      {"-key2", key},
		"loopback only":         {"-dev", "-listen", "0.0.0.0:8888"},
		"leave key out":         {"-dev", "-key", key},
		"listen":                {"-listen", "8888"},
		"go together":           {"-tls-cert", "x"},
		"neither text nor json": {"-log-format", "xml"},
		"log-level":             {"-log-level", "loud"},
		"no address of the web": {"-url", "gateway"},
		"for serverless only":   {"-upstream", "http://x"},
		"hub/category/event":    {"-serverless", "-upstream", "chat/messages http://x"},
		"key is needed":         {"-redis", "redis://127.0.0.1"},
		"they need redis":       {"-local-rest"},
		"invalid URL scheme":    {"-redis", "http://127.0.0.1", "-key", key},
		"redis: invalid port":   {"-redis", "redis://:secret@127.0.0.1:port", "-key", key},
		"no JSON array":         {"-serverless", "-upstream", "[1]"},
	} {
		if _, err := readSettings(args, func(string) string { return "" }, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	if s, err := readSettings([]string{"-dev"}, func(string) string { return "" }, io.Discard); err != nil || s.key != emulatorKey || s.listen != "127.0.0.1:8888" {
		t.Errorf("-dev: %+v, %v", s, err)
	}
}

// The first of two gateways sends to a client of the other.
func TestGatewaysOfOneRedisAreOneService(t *testing.T) {
	shared, err := miniredis.Run()
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	redis.SetLogger(noLog{}) // its connections end with the gateways
	args := []string{"-dev", "-serverless", "-redis", "redis://" + shared.Addr(), "-redis-prefix", "test:"}
	first, second := start(t, nil, args...), start(t, nil, args...)
	defer first.end()
	defer second.end()
	first.until("another gateway is there") // so that one hears what is published
	called := make(chan string, 1)
	c, err := hubclient.Dial(t.Context(), hubclient.Options{
		ConnOptions: hubclient.ConnOptions{
			URL:    second.url + "/client/?hub=chat",
			Header: http.Header{"Authorization": {"Bearer " + tokenFor(t, second.url+"/client/?hub=chat")}},
		},
		Receive: func(m *protocol.Invocation) { called <- m.Target },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, first.url+"/api/v1/hubs/chat", strings.NewReader(`{"target":"Hello","arguments":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokenFor(t, first.url+"/api/v1/hubs/chat"))
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatalf("%s, error %v", answer.Status, err)
	}
	if got := <-called; got != "Hello" {
		t.Errorf("the client is called with %q", got)
	}
}

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// tokenFor is a token of the emulator's key.
func tokenFor(t *testing.T, audience string) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": audience, "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(emulatorKey))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheConnectionStringLeadsToTheGateway(t *testing.T) {
	key := strings.Repeat("k", 32)
	for url, want := range map[string]string{
		"":                            "Endpoint=http://127.0.0.1;Port=8888;AccessKey=" + key + ";Version=1.0;",
		"https://signalr.example.com": "Endpoint=https://signalr.example.com;AccessKey=" + key + ";Version=1.0;",
		"https://example.com:8443/":   "Endpoint=https://example.com;Port=8443;AccessKey=" + key + ";Version=1.0;",
	} {
		s := &settings{key: key, publicURL: url}
		if got := s.connectionString(address("[::]:8888")); got != want {
			t.Errorf("%q: %s, want %s", url, got, want)
		}
	}
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

func TestUpstreamsComeFromFlagsTheEnvironmentAndTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.json")
	if err := os.WriteFile(file, []byte(`{"serverless": true, "upstream": ["chat/messages/One,Two http://a/{hub}", "http://b"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	want := upstreams{{URL: "http://a/{hub}", Hub: "chat", Category: "messages", Event: "One,Two"}, {URL: "http://b", Hub: "*", Category: "*", Event: "*"}}
	for name, test := range map[string]struct {
		args []string
		env  string
	}{
		"flags":       {[]string{"-serverless", "-upstream", "chat/messages/One,Two http://a/{hub}", "-upstream", "http://b"}, ""},
		"environment": {[]string{"-serverless"}, `["chat/messages/One,Two http://a/{hub}", "http://b"]`},
		"file":        {[]string{"-config", file}, ""},
	} {
		s, err := readSettings(test.args, func(name string) string { return map[string]string{"HUBWIRE_GATEWAY_UPSTREAM": test.env}[name] }, io.Discard)
		if err != nil || !s.options(nil, nil).Serverless || !slices.Equal(s.options(nil, nil).Upstreams, want) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// A client calls, a web server answers, and the end of the gateway is told.
func TestServerlessBringsACallToAnUpstream(t *testing.T) {
	told := make(chan string, 10)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told <- r.URL.Path
		if r.URL.Path == "/chat/messages/Add" {
			_, _ = io.WriteString(w, `{"type":3,"invocationId":"1","result":3}`) // the gateway is there
		}
	}))
	defer upstream.Close()
	r := start(t, nil, "-dev", "-serverless", "-upstream", upstream.URL+"/{hub}/{category}/{event}")
	ended := false
	defer func() {
		if !ended {
			r.end()
		}
	}()
	token := func(path string) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": r.url + path, "exp": time.Now().Add(time.Hour).Unix(), "nameid": "ann"}).SignedString([]byte(emulatorKey))
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + text
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	c, err := hubclient.Dial(ctx, hubclient.Options{ConnOptions: hubclient.ConnOptions{
		URL: r.url + "/client/?hub=chat", Header: http.Header{"Authorization": {token("/client/?hub=chat")}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	var sum int
	if err := c.Invoke(ctx, &sum, "Add", 1, 2); err != nil || sum != 3 {
		t.Errorf("the sum is %d, %v", sum, err)
	}
	r.end()
	ended = true
	for _, want := range []string{"/chat/connections/connected", "/chat/messages/Add", "/chat/connections/disconnected"} {
		if got := <-told; got != want {
			t.Errorf("told of %s, want %s", got, want)
		}
	}
}
