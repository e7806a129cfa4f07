package otel_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
	"go.opentelemetry.io/otel/sdk/metric"
)

// oneMethod returns what is told of the calls of a method, and what was measured.
func oneMethod(t testing.TB, o otel.Options) (told func(server.CallEnd), s *sink) {
	t.Helper()
	s = &sink{reader: metric.NewManualReader()}
	o.MeterProvider, o.NoTraces = metric.NewMeterProvider(metric.WithReader(s.reader)), true
	observer, err := otel.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	return observer.Calls("app.Chat", "Work"), s
}

func succeeded(took time.Duration) server.CallEnd {
	return server.CallEnd{Outcome: server.CallSucceeded, Duration: took}
}

// linesOf returns the lines of one instrument, without what they all share.
func (s *sink) linesOf(t *testing.T, instrument string) (lines []string) {
	t.Helper()
	for _, line := range s.measured(t) {
		if rest, ok := strings.CutPrefix(line, "hubwire "+instrument+" "); ok {
			lines = append(lines, strings.ReplaceAll(rest, "hubwire.hub=app.Chat,hubwire.method=Work,hubwire.outcome=", ""))
		}
	}
	return lines
}

func TestCallsAreCountedByHowLongTheyTook(t *testing.T) {
	told, s := oneMethod(t, otel.Options{})
	for _, took := range []time.Duration{1, 500 * time.Microsecond, 500*time.Microsecond + 1, 30 * time.Millisecond, 10 * time.Second, time.Minute} {
		told(succeeded(took))
	}
	told(server.CallEnd{Outcome: server.CallFailed, Duration: time.Second})
	var want []string
	for _, bucket := range []struct {
		calls  int
		bounds string
	}{{2, "0.0005"}, {3, "0.001 0.0025 0.005 0.01 0.025"}, {4, "0.05 0.1 0.25 0.5 1 2.5 5"}, {5, "10"}, {6, "+Inf"}} {
		for bound := range strings.FieldsSeq(bucket.bounds) {
			want = append(want, fmt.Sprintf("[{call}] {ok,le=%s} %d monotonic=true", bound, bucket.calls))
		}
	}
	slices.Sort(want)
	got := s.linesOf(t, "hubwire.call.buckets")
	got = slices.DeleteFunc(got, func(line string) bool { return strings.Contains(line, "{error") })
	if !slices.Equal(got, want) {
		t.Errorf("buckets\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for instrument, want := range map[string][]string{
		"hubwire.calls":     {"[{call}] {error} 1 monotonic=true", "[{call}] {ok} 6 monotonic=true"},
		"hubwire.call.time": {"[s] {error} 1.00 monotonic=true", "[s] {ok} 70.03 monotonic=true"},
	} {
		if got := s.linesOf(t, instrument); !slices.Equal(got, want) {
			t.Errorf("%s = %q, want %q", instrument, got, want)
		}
	}
	if got := s.linesOf(t, "hubwire.call.duration"); got != nil {
		t.Errorf("there is a histogram that nobody has asked for: %q", got)
	}
}

func TestTheCallHistogramIsAskedFor(t *testing.T) {
	told, s := oneMethod(t, otel.Options{CallHistogram: true})
	told(succeeded(3 * time.Second))
	told(succeeded(time.Second))
	want := []string{"[s] {ok} 2 in 4s [0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10]"}
	if got := s.linesOf(t, "hubwire.call.duration"); !slices.Equal(got, want) {
		t.Errorf("hubwire.call.duration = %q, want %q", got, want)
	}
}

func TestNoCallIsLostWhenManyEndAtOnce(t *testing.T) {
	old := runtime.GOMAXPROCS(8) // as many stripes, also where there are fewer cores
	defer runtime.GOMAXPROCS(old)
	told, s := oneMethod(t, otel.Options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				told(succeeded(time.Millisecond))
			}
		})
	}
	all.Wait()
	for instrument, want := range map[string]string{"hubwire.calls": "[{call}] {ok} 8000 monotonic=true", "hubwire.call.time": "[s] {ok} 8.00 monotonic=true"} {
		if got := s.linesOf(t, instrument); len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %q", instrument, got, want)
		}
	}
}

func TestHubsOfTheSameNameCountTogether(t *testing.T) {
	s := &sink{reader: metric.NewManualReader()}
	observer, err := otel.New(&otel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(s.reader)), NoTraces: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		observer.Calls("app.Chat", "Work")(succeeded(time.Second))
	}
	if got, want := s.linesOf(t, "hubwire.calls"), []string{"[{call}] {ok} 3 monotonic=true"}; !slices.Equal(got, want) {
		t.Errorf("hubwire.calls = %q, want %q", got, want)
	}
}

func TestMeasuringACallAllocatesNothing(t *testing.T) {
	told, _ := oneMethod(t, otel.Options{})
	told(succeeded(1)) // the first makes what counts
	if got := testing.AllocsPerRun(1000, func() { told(succeeded(time.Millisecond)) }); got != 0 {
		t.Errorf("a call that is measured allocates %v times", got)
	}
}
