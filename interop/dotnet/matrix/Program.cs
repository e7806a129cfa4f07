// Plays every scenario with the official .NET client against running nodes, over every transport and protocol.
//
//   dotnet matrix.dll --plain URL --detailed URL --impatient URL [--only WORD] [--skip WORD]... [--jobs 4] [--list]
//
// Prints one JSON object per line for each case:
//   {"scenario":"...","transport":"WebSockets","protocol":"json","ok":true,"saw":["..."],"error":"...","ms":12}
// in the order in which they end; with --list, in their own order and without playing them.
// "saw" is what the client's user saw, free of what is new in every run; "error" is what went wrong. The status is 1 if
// a case failed, 2 if the arguments are wrong. Arguments.cs says how each node is started.

using System.Text.Json;
using Hubwire.Matrix;

Arguments arguments;
try { arguments = Arguments.Parse(args); }
catch (ArgumentException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}

var cases = (
    from scenario in Scenarios.All
    from mode in Mode.All
    where scenario.In(mode)
    let name = $"{scenario.Name} / {mode.Transport} / {mode.Protocol}"
    where arguments.Want(name)
    select (scenario, mode)).ToArray();

// A first case takes far longer than any other, and some have little time.
if (!arguments.List)
{
    foreach (var mode in cases.Select(one => one.mode).Distinct()) await Case.Play(Scenarios.First, mode, arguments.Nodes);
}
var failures = 0;
var options = new ParallelOptions { MaxDegreeOfParallelism = arguments.List ? 1 : arguments.Jobs }; // a list has an order
await Parallel.ForEachAsync(cases, options, async (one, _) =>
{
    var result = arguments.List
        ? new Result(one.scenario.Name, one.mode.Transport, one.mode.Protocol, true, [], null, 0)
        : await Case.Play(one.scenario, one.mode, arguments.Nodes);
    if (!result.Ok) Interlocked.Increment(ref failures);
    lock (cases) Console.WriteLine(JsonSerializer.Serialize(result, Show.Compact));
});
return failures == 0 ? 0 : 1;
