// The reference node (real ASP.NET Core, real hub) behind Azure SignalR's SDK, unmodified:
//
//   dotnet node.dll --urls http://127.0.0.1:0 --azure "Endpoint=...;AccessKey=...;Version=1.0;" [--azure2 "..."]
//                   [--application NAME] [--connections 2] [--shutdown Off|WaitForClientsClose|MigrateClients]
//                   [--sticky Preferred|Required] [--detailed true] [--log Information] [--max-message 32768] [--parallel 1]
//                   [--client-timeout-ms N] [--keepalive-ms N] [--handshake-timeout-ms N] [--stateful-buffer BYTES]
//
// Without an application name it takes one of its own, so that the clients of two nodes never meet.
// Prints "READY <url>" once the service has taken its connections; stops on SIGTERM.

using System.Security.Claims;
using System.Text.Json;
using Interop;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Azure.SignalR;

var builder = WebApplication.CreateBuilder(args);
var config = builder.Configuration;
builder.Logging.ClearProviders();
if (config["log"] is { } level)
{
    builder.Logging.SetMinimumLevel(Enum.Parse<LogLevel>(level)).AddConsole(o => o.LogToStandardErrorThreshold = LogLevel.Trace);
}

builder.Services.AddAuthorization();
builder.Services.AddCors();
var signalr = builder.Services.AddSignalR(o =>
{
    o.EnableDetailedErrors = config.GetValue("detailed", false);
    o.MaximumReceiveMessageSize = config.GetValue<long?>("max-message", 32 * 1024);
    o.MaximumParallelInvocationsPerClient = config.GetValue("parallel", 1);
    if (config["client-timeout-ms"] is { } timeout) o.ClientTimeoutInterval = TimeSpan.FromMilliseconds(double.Parse(timeout));
    if (config["keepalive-ms"] is { } keepAlive) o.KeepAliveInterval = TimeSpan.FromMilliseconds(double.Parse(keepAlive));
    if (config["handshake-timeout-ms"] is { } handshake) o.HandshakeTimeout = TimeSpan.FromMilliseconds(double.Parse(handshake));
}).AddHubOptions<TestHub>(o =>
{
    o.StatefulReconnectBufferSize = config.GetValue("stateful-buffer", o.StatefulReconnectBufferSize);
}).AddMessagePackProtocol();
signalr.AddAzureSignalR(o =>
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

// A user is who the query or a header says; a test server has no secrets.
app.Use((context, next) =>
{
    string? user = context.Request.Query["user"].FirstOrDefault() ?? context.Request.Headers["X-User"].FirstOrDefault();
    if (user is not null)
    {
        context.User = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user)], "test"));
    }
    return next(context);
});

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
app.MapHub<TestHub>("/hub", o =>
{
    o.AllowStatefulReconnects = true;
});
app.MapConnectionHandler<EchoConnection>("/echo");
app.MapGet("/healthz", () => "ok");
app.MapGet("/api/ended", () => TestHub.Ended); // connection id -> what OnDisconnectedAsync was given

app.MapPost("/api/posts/{id:int}/publish", async (int id, IHubContext<TestHub> hub) =>
{
    await hub.Clients.All.SendAsync("PostPublished", new Post(id, $"Post {id}", new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc)));
    return Results.Accepted();
});

// Sends from outside a hub call: {"to":"groups","names":["a"],"except":["id"],"method":"M","args":[1,"x"]}
app.MapPost("/api/send", async (SendRequest r, IHubContext<TestHub> hub) =>
{
    var names = r.Names ?? [];
    var except = r.Except ?? [];
    var to = r.To switch
    {
        "all" => hub.Clients.All,
        "allExcept" => hub.Clients.AllExcept(except),
        "client" => hub.Clients.Client(names[0]),
        "clients" => hub.Clients.Clients(names),
        "group" => hub.Clients.Group(names[0]),
        "groups" => hub.Clients.Groups(names),
        "groupExcept" => hub.Clients.GroupExcept(names[0], except),
        "user" => hub.Clients.User(names[0]),
        "users" => hub.Clients.Users(names),
        _ => throw new BadHttpRequestException("unknown 'to'"),
    };
    await to.SendCoreAsync(r.Method, r.Args.Select(Plain).ToArray());
});

app.MapPost("/api/groups/{group}/{id}", (string group, string id, IHubContext<TestHub> hub) => hub.Groups.AddToGroupAsync(id, group));
app.MapDelete("/api/groups/{group}/{id}", (string group, string id, IHubContext<TestHub> hub) => hub.Groups.RemoveFromGroupAsync(id, group));

app.MapPost("/api/ask/{id}/{method}", async (string id, string method, IHubContext<TestHub> hub, HttpContext http) =>
{
    using var timeout = new CancellationTokenSource(http.Request.Query["timeout"] is [{ } ms] ? int.Parse(ms) : 5000);
    try { return Results.Text(await hub.Clients.Client(id).InvokeAsync<string>(method, "question", timeout.Token)); }
    catch (Exception e) { return Results.Text($"{e.GetType().Name}: {e.Message}", statusCode: 409); }
});

await app.StartAsync();
using (var http = new HttpClient())
{
    while (!(await http.PostAsync(app.Urls.First() + "/hub/negotiate", null)).IsSuccessStatusCode) await Task.Delay(50);
}
foreach (var url in app.Urls) Console.WriteLine($"READY {url}");
await app.WaitForShutdownAsync();

static object? Plain(JsonElement value) => value.ValueKind switch
{
    JsonValueKind.Null => null,
    JsonValueKind.String => value.GetString(),
    JsonValueKind.True => true,
    JsonValueKind.False => false,
    JsonValueKind.Number => value.TryGetInt64(out var n) ? n : value.GetDouble(),
    JsonValueKind.Array => value.EnumerateArray().Select(Plain).ToArray(),
    _ => value.EnumerateObject().ToDictionary(p => p.Name, p => Plain(p.Value)),
};

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

sealed record SendRequest(string To, string Method, JsonElement[] Args, string[]? Names, string[]? Except);
