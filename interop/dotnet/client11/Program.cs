// What the .NET 11 client does with authentication refresh and with cancelled calls, against any server.
//
//   dotnet client11.dll http://127.0.0.1:1234 [WORD] > facts.txt
//
// The server needs the endpoints /hub, /hub-refresh, /hub-refresh-policy, /hub-refresh-off and the methods of the reference
// node (in Go: ../../node); its bearer tokens are "user=a&role=x&expires=5". WORD plays only
// scenarios whose name holds it. Each line is one fact: the scenario, who saw it, and what. expected.txt is what ASP.NET Core
// 11.0.0 gives (--detailed true); `diff expected.txt facts.txt` says nothing if the server does the same. Connection tokens
// are printed as <token>, times are rounded.

using Interop;
using Microsoft.AspNetCore.Http.Connections;

string url = args[0], word = args.ElementAtOrDefault(1) ?? "";
HttpTransportType[] transports = [HttpTransportType.WebSockets, HttpTransportType.ServerSentEvents, HttpTransportType.LongPolling];
foreach (var (name, play) in Scenarios.All)
{
    foreach (var transport in transports)
    {
        foreach (var protocol in new[] { "json", "messagepack" })
        {
            if (transport == HttpTransportType.ServerSentEvents && protocol == "messagepack") continue; // text only
            var run = new Run(url, $"{name} / {transport} {protocol}", transport, protocol);
            if (!run.Name.Contains(word) || !Scenarios.Wanted(name, transport, protocol)) continue;
            await using (run) await play(run);
        }
    }
}
