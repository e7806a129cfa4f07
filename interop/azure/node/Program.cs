// The reference node (real ASP.NET Core, real hub; ../../reference) behind Azure SignalR's SDK, unmodified:
//
//   dotnet node.dll --urls http://127.0.0.1:0 --azure "Endpoint=...;AccessKey=...;Version=1.0;" [--azure2 "..."]
//                   [--application NAME] [--connections 2] [--shutdown Off|WaitForClientsClose|MigrateClients]
//                   [--sticky Preferred|Required] [--detailed true] [--log Information] [--max-message 32768] [--parallel 1]
//                   [--client-timeout-ms N] [--keepalive-ms N] [--handshake-timeout-ms N] [--stateful-buffer BYTES]
//
// Without an application name it takes one of its own, so that the clients of two nodes never meet.
// Prints "READY <url>" once the service has taken its connections; stops on SIGTERM.

using Interop;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.Azure.SignalR;

var builder = Node.Builder(args);
var config = builder.Configuration;
builder.AddTestHub().AddAzureSignalR(o =>
{
    if (config["azure2"] is { } second)
    {
        o.Endpoints = [new ServiceEndpoint(config["azure"]!, name: "one"), new ServiceEndpoint(second, name: "two")];
    }
    else
    {
        o.ConnectionString = config["azure"];
    }
    o.ApplicationName = config["application"] ?? "n" + Guid.NewGuid().ToString("N");
    o.InitialHubServerConnectionCount = config.GetValue("connections", 2);
    o.GracefulShutdown.Mode = config.GetValue("shutdown", GracefulShutdownMode.Off);
    o.ServerStickyMode = config.GetValue("sticky", ServerStickyMode.Disabled);
    o.TransportTypeDetector = context => context.Items.TryGetValue(Paths.Transports, out var only) ? (HttpTransportType)only! : Paths.All;
});

var app = builder.Build();
app.UseNamedUsers();

// The hub is mapped on one path, unlike the reference node: the SDK opens service connections for each, and sends, and says
// that it leaves, through those of the last one only. Its other paths are that one with some transports.
app.Use((context, next) =>
{
    if (context.Request.Path.StartsWithSegments("/hub-websockets", out var rest)) Paths.Only(context, HttpTransportType.WebSockets, rest);
    else if (context.Request.Path.StartsWithSegments("/hub-longpolling", out rest)) Paths.Only(context, HttpTransportType.LongPolling, rest);
    else if (context.Request.Path.StartsWithSegments("/hub-nowebsockets", out rest)) Paths.Only(context, HttpTransportType.ServerSentEvents | HttpTransportType.LongPolling, rest);
    return next(context);
});
app.UseRouting(); // of the path that it is by now
app.UseCors();
app.MapHub<TestHub>("/hub", o => o.AllowStatefulReconnects = true);
app.MapRequests();

await app.StartAsync();
using (var http = new HttpClient())
{
    while (!(await http.PostAsync(app.Urls.First() + "/hub/negotiate", null)).IsSuccessStatusCode) await Task.Delay(50);
}
foreach (var url in app.Urls) Console.WriteLine($"READY {url}");
await app.WaitForShutdownAsync();

static class Paths
{
    public const HttpTransportType All = HttpTransportType.WebSockets | HttpTransportType.ServerSentEvents | HttpTransportType.LongPolling;
    public static readonly object Transports = new();

    public static void Only(HttpContext context, HttpTransportType transports, PathString rest)
    {
        context.Items[Transports] = transports;
        context.Request.Path = "/hub" + rest;
    }
}
