// Package telemetry compares what our hubs measure and trace with what ASP.NET
// Core SignalR does. It has tests only.
//
// testdata/telemetry11.json is a recording of a node of ASP.NET Core 11.0.0, which
// had a MeterListener and an ActivityListener in its process, in 166 steps. Each of
// them is played against a hub with server/otel, and what it measured, traced and
// answered is compared. Those of the .NET client are played by that client, over a
// real network, the others in memory with fake time. testdata/differences.json has
// the steps that differ, each with its reason; one that is not there, or that does
// not differ any more, fails.
//
// What is compared: each measurement of signalr.* with its attributes; of each span
// its name, kind, status, parent, links, trace, attributes in order and how many of
// them a sampler sees, events, trace state and baggage; which span is the current
// one in the hub's code; and what the client saw. What is not: durations, the order
// of spans, HTTP's own spans and metrics, the spans of clients, and the random bit
// that .NET 11 sets in the flags of its traces.
package telemetry
