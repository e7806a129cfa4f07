package rescue

import (
	"bytes"
	"fmt"
	"log/slog"
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
		log = Limited(log).With("hub", "h")
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
			log.Info(LineOpened)
			log.Info(LineClosed)
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
