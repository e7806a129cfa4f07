package rescue

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// A broken handler panics in the method that it names.
type broken struct {
	slog.Handler
	in string
}

func (h broken) Enabled(ctx context.Context, level slog.Level) bool {
	h.fail("Enabled")
	return h.Handler.Enabled(ctx, level)
}

func (h broken) Handle(ctx context.Context, r slog.Record) error {
	h.fail("Handle")
	return h.Handler.Handle(ctx, r)
}

func (h broken) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.fail("WithAttrs")
	return broken{h.Handler.WithAttrs(attrs), h.in}
}

func (h broken) WithGroup(name string) slog.Handler {
	h.fail("WithGroup")
	return broken{h.Handler.WithGroup(name), h.in}
}

func (h broken) fail(in string) {
	if h.in == in {
		panic("broken " + in)
	}
}

func TestABrokenLogLosesALineAtMost(t *testing.T) {
	for in, want := range map[string]string{
		"": `"g":{"c":3}`, "WithAttrs": `"msg":"line"`, "WithGroup": `"c":3`, "Handle": "", "Enabled": "",
	} {
		var out strings.Builder
		log := Logger(slog.New(broken{slog.NewJSONHandler(&out, nil), in}))
		log.With("a", 1).WithGroup("g").Info("line", "c", 3)
		if got := out.String(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("broken %q: the log has %q, want %s", in, got, want)
		}
	}
}

func TestAPanicIsAnErrorAndInTheLog(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	want := errors.New("its own")
	if err := Call(log, "a hook", func() error { return want }); err != want || out.Len() > 0 {
		t.Errorf("Call = %v, and the log has %q", err, &out)
	}
	err := Call(log, "a hook", func() error { panic("oh") })
	if err == nil || err.Error() != "panic in a hook: oh" {
		t.Errorf("Call = %v", err)
	}
	for _, part := range []string{`in="a hook"`, "panic=oh", "TestAPanicIsAnErrorAndInTheLog"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the log has no %q: %s", part, &out)
		}
	}
}
