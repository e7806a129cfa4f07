package server_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

type lengthHub struct{}

func (lengthHub) Length(text string) int { return len(text) }

// A message that is longer than what may wait undispatched comes in steps with
// a POST; the step after the first 64 KiB must not wait for space that only it
// can make.
func TestAPostedMessageMayBeLongerThanTheInbox(t *testing.T) {
	node := serve(t, newHub(lengthHub{}, &server.Options{MaximumReceiveMessageSize: -1}))
	url := node + "/hub?id=" + negotiate(t, node, "").ConnectionToken
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	events, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	client := http.Client{Timeout: 10 * time.Second}
	for _, body := range []string{
		`{"protocol":"json","version":1}` + "\x1e",
		`{"type":1,"invocationId":"1","target":"Length","arguments":["` + strings.Repeat("x", 300_000) + `"]}` + "\x1e",
	} {
		answer, err := client.Post(url, "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	for lines := bufio.NewScanner(events.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), `"result":300000`) {
			return
		}
	}
	t.Error("no result came")
}
