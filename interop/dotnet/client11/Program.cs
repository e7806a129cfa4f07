// What the .NET 11 client does with authentication refresh and with cancelled calls, against any server.
//
//   dotnet client11.dll http://127.0.0.1:1234 [WORD [JOBS]] > facts.txt
//
// The server needs the endpoints /hub, /hub-refresh, /hub-refresh-policy, /hub-refresh-off and the methods of the reference
// node (in Go: ../../node); its bearer tokens are "user=a&role=x&expires=5". WORD plays only
// scenarios whose name holds it, JOBS of them at once (1): most of their time they wait. Each line is one fact: the scenario,
// who saw it, and what, in the order of the scenarios. expected.txt is what ASP.NET Core
// 11.0.0 gives (--detailed true); `diff expected.txt facts.txt` says nothing if the server does the same. Connection tokens
// are printed as <token>, times are rounded.

using Interop;
using Microsoft.AspNetCore.Http.Connections;

string url = args[0], word = args.ElementAtOrDefault(1) ?? "";
var free = new SemaphoreSlim(int.Parse(args.ElementAtOrDefault(2) ?? "1"));
HttpTransportType[] transports = [HttpTransportType.WebSockets, HttpTransportType.ServerSentEvents, HttpTransportType.LongPolling];
var runs = (
    from scenario in Scenarios.All
    let name = scenario.Item1
    from transport in transports
    from protocol in new[] { "json", "messagepack" }
    where transport != HttpTransportType.ServerSentEvents || protocol == "json" // text only
    let fullName = $"{name} / {transport} {protocol}"
    where fullName.Contains(word) && Scenarios.Wanted(name, transport, protocol)
    select Play(new Run(url, fullName, transport, protocol), scenario.Item2)).ToArray();
foreach (var run in runs) (await run).Print();

async Task<Run> Play(Run run, Func<Run, Task> play)
{
    await free.WaitAsync();
    try
    {
        await using (run) await play(run);
    }
    finally
    {
        free.Release();
    }
    return run;
}
