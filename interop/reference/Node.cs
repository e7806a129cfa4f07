// What the reference node and the one behind Azure SignalR's SDK (interop/azure/node) have in common: logging, the hub's
// options, users, and the requests by which a test makes a node send.

using System.Security.Claims;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR;

namespace Interop;

static class Node
{
    /// <summary>A builder that logs to standard error, if the command line says how much.</summary>
    public static WebApplicationBuilder Builder(string[] args)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.Logging.ClearProviders();
        if (builder.Configuration["log"] is { } level)
        {
            builder.Logging.SetMinimumLevel(Enum.Parse<LogLevel>(level)).AddConsole(o => o.LogToStandardErrorThreshold = LogLevel.Trace);
        }
        return builder;
    }

    /// <summary>The hub's services, with the options of the command line.</summary>
    public static ISignalRServerBuilder AddTestHub(this WebApplicationBuilder builder)
    {
        var config = builder.Configuration;
        builder.Services.AddAuthorization();
        builder.Services.AddCors();
        return builder.Services.AddSignalR(o =>
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
    }

    /// <summary>A user is who the query or a header says; a test server has no secrets.</summary>
    /// <param name="except">Paths that begin with it have users of their own.</param>
    public static void UseNamedUsers(this WebApplication app, PathString except = default) => app.Use((context, next) =>
    {
        string? user = context.Request.Query["user"].FirstOrDefault() ?? context.Request.Headers["X-User"].FirstOrDefault();
        if (user is not null && (except == default || !context.Request.Path.Value!.StartsWith(except, StringComparison.OrdinalIgnoreCase)))
        {
            context.User = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user)], "test"));
        }
        return next(context);
    });

    /// <summary>The requests by which a test asks what has been, and makes the node send.</summary>
    public static void MapRequests(this WebApplication app)
    {
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
    }

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
}

sealed record SendRequest(string To, string Method, JsonElement[] Args, string[]? Names, string[]? Except);
