package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logBuffer is a text log without times.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// take returns the lines since the last take.
func (b *logBuffer) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(b.buf.String()), "\n")
	b.buf.Reset()
	return lines
}

func newLogBuffer() (*logBuffer, *slog.Logger) {
	b := &logBuffer{}
	return b, slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestTheSameLineIsWrittenAFewTimesASecondWithACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		buf, log := newLogBuffer()
		log = limited(log).With("hub", "h")
		for i := range 100 {
			log.Info("unknown method", "target", i)
		}
		for range 2 {
			log.Info("call is not authorized", "method", "A") // another line
			log.Info("call is not authorized", "method", "B")
		}
		if got := len(buf.take()); got != linesPerSecond+4 {
			t.Errorf("%d lines, want %d", got, linesPerSecond+4)
		}
		time.Sleep(lineWindow)
		synctest.Wait()
		if got, want := fmt.Sprint(buf.take()), fmt.Sprintf(`[level=INFO msg="unknown method" hub=h leftOut=%d]`, 100-linesPerSecond); got != want {
			t.Errorf("after a second: %s\n         want %s", got, want)
		}
		for range 7 {
			log.Info("unknown method")
		}
		for range 3 * linesPerSecond { // slower than the limit
			time.Sleep(lineWindow / linesPerSecond)
			log.Error("user code failed", "in", "Echo", "type", "*x.Error")
		}
		time.Sleep(lineWindow)
		synctest.Wait()
		lines := buf.take()
		if want := linesPerSecond + 1 + 3*linesPerSecond; len(lines) != want {
			t.Errorf("%d lines, want %d: nothing is left out of what comes slowly\n%s", len(lines), want, strings.Join(lines, "\n"))
		}
		for range 20 {
			log.Info(lineOpened)
			log.Info(lineClosed)
			log.Error("user code failed", "in", "Echo", "type", "*x.Error")
		}
		time.Sleep(2 * lineWindow)
		synctest.Wait()
		lines = buf.take()
		if want := 40 + linesPerSecond + 1; len(lines) != want {
			t.Errorf("%d lines, want %d: those of connections are all there", len(lines), want)
		}
		if want := `level=ERROR msg="user code failed" hub=h of="in=Echo type=*x.Error" leftOut=15`; lines[len(lines)-1] != want {
			t.Errorf("last line %s\n     want %s", lines[len(lines)-1], want)
		}
	})
}

func TestTheMemoryOfTheLogLimitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		buf, log := newLogBuffer()
		limit := &lineLimit{}
		log = slog.New(limitedHandler{log.Handler(), limit})
		counted := func() int {
			limit.mu.Lock()
			defer limit.mu.Unlock()
			return len(limit.lines)
		}
		for i := range 10 * mostLines {
			log.Info("a line", "reason", i)
		}
		if n := counted(); n > mostLines+1 {
			t.Errorf("%d lines are counted, want %d at most", n, mostLines+1)
		}
		if n := len(buf.take()); n > mostLines+linesPerSecond {
			t.Errorf("%d lines were written", n)
		}
		time.Sleep(2 * lineWindow)
		synctest.Wait()
		if got, want := buf.take(), fmt.Sprintf(`level=INFO msg="a line" leftOut=%d`, 9*mostLines-linesPerSecond); len(got) != 1 || got[0] != want {
			t.Errorf("after a second: %s\n         want %s", got, want)
		}
		log.Info("a line", "reason", "new")
		if n := counted(); n > 1 {
			t.Errorf("%d lines are counted still", n)
		}
	})
}

func TestSecretsOfARequestAreRemovedFromErrors(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/hub?id=connection-token&access_token=ey.from.query", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer eyJhbGciOi.J9.c2ln==")
	r.Header.Set("Cookie", "session=0123456789; a=b")
	for text, want := range map[string]string{
		"token eyJhbGciOi.J9.c2ln== is bad":              "token [secret] is bad",
		"header Bearer eyJhbGciOi.J9.c2ln== is bad":      "header [secret] is bad",
		"session 0123456789 is over":                     "session [secret] is over",
		"ey.from.query or connection-token":              "[secret] or [secret]",
		"Bearer tokens are needed; a and b are no words": "Bearer tokens are needed; a and b are no words",
	} {
		if got := withoutSecrets(text, r); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
