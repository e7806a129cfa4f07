package server_test

import (
	"fmt"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
	"go.opentelemetry.io/otel/sdk/metric"
)

// What metrics add to a call. docs/telemetry.md has the figures, and how to compare
// them on a machine that has other work.
func BenchmarkObservedEcho(b *testing.B) {
	for _, mode := range []struct {
		name string
		opts *otel.Options
	}{{"off", nil}, {"metrics", &otel.Options{}}, {"histogram", &otel.Options{CallHistogram: true}}} {
		opts := &server.Options{}
		if o := mode.opts; o != nil {
			o.NoTraces, o.MeterProvider = true, metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
			var err error
			if opts.Observer, err = otel.New(o); err != nil {
				b.Fatal(err)
			}
		}
		for _, inFlight := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/inFlight=%d", mode.name, inFlight), func(b *testing.B) { benchmarkEcho(b, protocol.JSON{}, inFlight, 61, opts) })
		}
	}
}
