package telemetry

import (
	"fmt"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestTheInstrumentsAreDefinedAsInASPNETCore(t *testing.T) {
	reader := metric.NewManualReader()
	o, err := otel.New(&otel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	o.ConnectionStarted("", server.WebSockets)
	o.ConnectionEnded(server.ConnectionEnd{Transport: server.WebSockets, Status: server.NormalClosure, Duration: time.Second})
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			line := fmt.Sprintf("%s %s, unit %s, %s: ", scope.Scope.Name+scope.Scope.Version, m.Name, m.Unit, m.Description)
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				line += fmt.Sprintf("UpDownCounter of Int64, monotonic %v", data.IsMonotonic)
			case metricdata.Histogram[float64]:
				line += fmt.Sprintf("Histogram of Double %v", data.DataPoints[0].Bounds)
			}
			got[m.Name] = line
		}
	}
	compared := 0
	for _, i := range loadRecording(t).Instruments {
		if i.Meter != "Microsoft.AspNetCore.Http.Connections" {
			continue
		}
		compared++
		want := fmt.Sprintf("%s %s, unit %s, %s: %s of %s", i.Meter, i.Name, i.Unit, i.Description, i.Kind, i.Number)
		if i.Kind == "Histogram" {
			want += fmt.Sprintf(" %v", i.Buckets)
		} else {
			want += ", monotonic false"
		}
		if got[i.Name] != want {
			t.Errorf("%s\n got: %s\nwant: %s", i.Name, got[i.Name], want)
		}
	}
	if compared != 2 {
		t.Errorf("the recording has %d instruments, not two", compared)
	}
}
