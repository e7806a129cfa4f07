// Package otel measures and traces hubs with OpenTelemetry.
//
//	observer, err := otel.New(nil) // with the global providers
//	if err != nil {
//		return err
//	}
//	hub, err := server.NewHub(&Chat{}, &server.Options{Observer: observer})
//
// It needs OpenTelemetry's API only; what becomes of the measurements and spans
// is up to the SDK that the program sets up. Names, units, attributes and buckets
// of the two instruments signalr.server.*, and the spans, are those of ASP.NET
// Core 11. What it does not have is in the scope "hubwire". docs/telemetry.md of
// the repository has all of them in tables.
//
// A hub's spans find their way into its methods: Call.Context has the span of
// the call, whose trace begins at the client, if that sends a traceparent in the
// headers of its messages, as the .NET client does. Middleware around the hub,
// such as otelhttp, traces the HTTP requests; a call has a link to the one that
// opened its connection.
package otel
