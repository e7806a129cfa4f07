package gateway_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
)

// Seconds of others are a time, however many they are.
func TestTimesWithoutEndAreNoTimesThatAreOver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.server("server-1")
		for i, seconds := range []string{"9223372036854775807", "9223372037", "10000000000"} { // the last two overflow as nanoseconds
			path := fmt.Sprintf("/api/v1/hubs/chat/groups/g%d/users/ann", i)
			if status, _, body := w.rest("PUT", path+"?ttl="+seconds, "", ""); status != http.StatusAccepted {
				t.Errorf("ttl=%s: %d %s", seconds, status, body)
			}
			w.stats() // timers without time have run
			if status, _, _ := w.rest("GET", path, "", ""); status != http.StatusOK {
				t.Errorf("ttl=%s: the user is in the group: %d", seconds, status)
			}
		}
		for _, seconds := range []string{"9223372036854775807", "253402300799"} {
			c := w.clientWith("ann", clientOptions{claims: map[string]any{"asrs.s.coae": "true", "asrs.s.aeo": seconds}})
			time.Sleep(5 * time.Second)
			w.stats()
			select {
			case <-c.Done():
				t.Errorf("asrs.s.aeo=%s: the client is closed", seconds)
			default:
			}
		}
	})
}

// A logBook is a log of lines.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Split(strings.TrimSpace(b.text.String()), "\n")
}

// Whoever reaches the gateway can send tokens that are not good.
func TestRefusedTokensDoNotFillTheLog(t *testing.T) {
	book := &logBook{}
	inWorld(t, &gateway.Options{Logger: slog.New(slog.NewTextHandler(book, nil))}, func(w *world) {
		const tries = 300
		for _, path := range []string{"/client/negotiate?hub=chat", "/server/?hub=chat", "/api/v1/hubs/chat"} {
			for range tries {
				r := httptest.NewRequest("POST", path, nil)
				r.Header.Set("Authorization", "Bearer "+sign("another key of 32 bytes and more", map[string]any{"aud": "http://gateway/client/?hub=chat"}))
				answer := httptest.NewRecorder()
				w.g.ServeHTTP(answer, r)
				if answer.Code != http.StatusUnauthorized {
					t.Fatalf("%s: %d", path, answer.Code)
				}
			}
		}
		time.Sleep(2 * time.Second) // until it is said how many were left out
		w.stats()
		lines := book.lines()
		if len(lines) > 10 || !strings.Contains(lines[len(lines)-1], fmt.Sprint("leftOut=", 3*tries-(len(lines)-1))) {
			t.Errorf("%d lines, the last one %s", len(lines), lines[len(lines)-1])
		}
	})
}
