// An ASP.NET Core node of a fleet with Go nodes, with the hub that the tests play, or as much of it as they need:
//
//   dotnet node.dll --urls http://127.0.0.1:0 [--redis 127.0.0.1:6379] [--go "http://127.0.0.1:5001 http://127.0.0.1:5002"] [--negotiate true]
//
// With --go it passes the requests of the Go nodes' connections on, with --negotiate true negotiates, too. It prints
// "READY <url>" when it accepts connections, and ends on SIGTERM.

using System.Security.Claims;
using Hubwire;
using Interop;

var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
builder.Services.AddCors();
builder.Services.AddResponseCompression(o => o.MimeTypes = ["text/event-stream"]);
var signalr = builder.Services.AddSignalR().AddMessagePackProtocol();
if (builder.Configuration["redis"] is { } redis) signalr.AddStackExchangeRedis(redis);

var app = builder.Build();
app.UseResponseCompression(); // in front on purpose: event streams pass without delay even so
if (builder.Configuration["go"] is { } go)
{
    foreach (var hub in new[] { "/hub", "/hub-refresh" }) app.UseGoConnections(hub, go.Split(' '), builder.Configuration.GetValue("negotiate", false));
}
app.UseCors(o => o.AllowAnyOrigin());
app.Use((context, next) => // a user is who the query says
{
    if (context.Request.Query["user"].FirstOrDefault() is { } user) context.User = new(new ClaimsIdentity([new(ClaimTypes.NameIdentifier, user)], "test"));
    return next(context);
});
app.MapHub<TestHub>("/hub");
app.MapGet("/healthz", () => "ok");
await app.StartAsync();
foreach (var url in app.Urls) Console.WriteLine($"READY {url}");
await app.WaitForShutdownAsync();
