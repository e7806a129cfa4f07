package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	http.DefaultTransport.(*http.Transport).DisableKeepAlives = true
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// start runs a node as main does and returns its URL. It is stopped as by
// SIGTERM when the test ends, and must end without an error.
func start(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"--urls", "http://127.0.0.1:0"}, args...), in)
		ended <- err
		_ = in.CloseWithError(io.EOF) // never fails
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run = %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	m := regexp.MustCompile(`^READY (http://127\.0\.0\.1:\d+)\n$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("the first line is %q, error %v", line, err)
	}
	return m[1]
}

// ask sends a request and returns status, content type and body.
func ask(t *testing.T, method, url, body string) (status int, contentType, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Content-Type"), string(data)
}

func TestNodeServesItsRoutesUntilItIsStopped(t *testing.T) {
	url := start(t)
	const plain = "text/plain; charset=utf-8"
	for _, test := range []struct {
		method, path, body string
		status             int
		contentType, text  string
	}{
		{"GET", "/healthz", "", 200, plain, "ok"},
		{"GET", "/API/ended/", "", 200, "application/json; charset=utf-8", "{}\n"},
		{"POST", "/api/posts/42/publish", "", 202, "", ""},
		{"POST", "/api/posts/x/publish", "", 404, "", ""},
		{"POST", "/api/posts/2147483648/publish", "", 404, "", ""},
		{"GET", "/api/posts/42/publish", "", 405, "", ""},
		{"POST", "/api/groups/g/nobody", "", 200, "", ""},
		{"DELETE", "/api/groups/g/nobody", "", 200, "", ""},
		{"POST", "/api/ask/nobody/M", "", 409, plain, "IOException: Connection 'nobody' does not exist."},
		{"POST", "/api/ask/nobody/M?timeout=x", "", 400, plain, `strconv.Atoi: parsing "x": invalid syntax`},
		{"POST", "/api/send", `{"to":"all","method":"M","args":[1,"x"]}`, 200, "", ""},
		{"POST", "/api/send", `{"To":"allExcept","except":["a"],"method":"M","args":[]}`, 200, "", ""},
		{"POST", "/api/send", `{"to":"client","names":["a"],"method":"M","args":[]}`, 200, "", ""},
		{"POST", "/api/send", `{"to":"clients","names":["a"],"method":"M","args":[]}`, 200, "", ""},
		{"POST", "/api/send", `{"to":"group","names":["a"],"method":"M","args":[]}`, 200, "", ""},
		{"POST", "/api/send", `{"to":"groups","names":["a"],"method":"M","args":[]}`, 200, "", ""},
		{"POST", "/api/send", `{"to":"groupExcept","names":["a"],"except":["b"],"method":"M","args":[]}`, 200, "", ""},
		{"POST", "/api/send", `{"to":"user","names":["a"],"method":"M","args":[]}`, 200, "", ""},
		{"POST", "/api/send", `{"to":"users","names":["a"],"method":"M","args":[]}`, 200, "", ""},
		{"POST", "/api/send", `{"to":"user","method":"M","args":[]}`, 400, plain, `"user" needs a name`},
		{"POST", "/api/send", `{"to":"nobody","method":"M"}`, 400, plain, `unknown 'to' "nobody"`},
		{"POST", "/api/send", `{`, 400, plain, "unexpected EOF"},
		{"GET", "/hub/x", "", 404, "", ""},
		{"GET", "/hub?id=x", "", 404, "text/plain", "No Connection with that ID"},
		{"GET", "/echo?id=x", "", 404, "text/plain", "No Connection with that ID"},
	} {
		status, contentType, text := ask(t, test.method, url+test.path, test.body)
		if status != test.status || contentType != test.contentType || text != test.text {
			t.Errorf("%s %s %s = %d, %q, %q; want %d, %q, %q", test.method, test.path, test.body,
				status, contentType, text, test.status, test.contentType, test.text)
		}
	}
}

func TestEndpointsOfferTheirTransports(t *testing.T) {
	url := start(t)
	for path, want := range map[string]string{
		"/hub":              "WebSockets ServerSentEvents LongPolling",
		"/hub-cors":         "WebSockets ServerSentEvents LongPolling",
		"/hub-websockets":   "WebSockets",
		"/hub-longpolling":  "LongPolling",
		"/hub-nowebsockets": "ServerSentEvents LongPolling",
		"/echo":             "WebSockets ServerSentEvents LongPolling",
	} {
		_, _, text := ask(t, "POST", url+path+"/negotiate?negotiateVersion=1", "")
		var names []string
		for _, m := range regexp.MustCompile(`"transport":"(\w+)"`).FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s offers %s, want %s", path, got, want)
		}
	}
}

func TestNodeReportsWhyItCannotStart(t *testing.T) {
	url := start(t)
	if err := run(t.Context(), []string{"--urls", "http://127.0.0.1:0;" + url}, io.Discard); err == nil {
		t.Error("a second node listens on the same port")
	}
	if err := run(t.Context(), []string{"--parallel", "-1"}, io.Discard); err == nil || !strings.Contains(err.Error(), "MaximumParallelInvocationsPerClient") {
		t.Errorf("run(--parallel -1) = %v", err)
	}
}

func TestNodeWithoutItsRedisServesAlone(t *testing.T) {
	url := start(t, "--redis", "127.0.0.1:1", "--redis-wait-ms", "100", "--prefix", "P:")
	if status, _, text := ask(t, "GET", url+"/healthz", ""); status != 200 || text != "ok" {
		t.Errorf("/healthz = %d %q", status, text)
	}
}
