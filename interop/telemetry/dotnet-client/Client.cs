// The official .NET client, which traces. Each line on standard input is one order, {"do": ..., "url", "transport", ...};
// {"t":"done"} answers it, with what the caller saw. One connection lives from "start" to "stop". Between them it prints
// {"t":"start"} for each activity of the client, in order. A call to be cancelled is cancelled by the next line, whatever it says.

using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Hubwire.Telemetry;

sealed record Order(string Do, string? Url, string? Transport, string? Protocol, bool InActivity, string? Method, JsonElement[]? Args);

static class Client
{
    static readonly object gate = new();
    static readonly ActivitySource app = new("App");
    static HubConnection? connection;

    static async Task Main()
    {
        string[] sources = ["Microsoft.AspNetCore.SignalR", "System.Net.Http", "App"];
        ActivitySource.AddActivityListener(new ActivityListener
        {
            ShouldListenTo = source => sources.Any(p => source.Name.StartsWith(p)),
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStarted = a => Write(new { t = "start", operation = a.OperationName, span = a.SpanId.ToHexString() }),
        });
        while (await Console.In.ReadLineAsync() is { } line)
        {
            var order = JsonSerializer.Deserialize<Order>(line, JsonSerializerOptions.Web)!;
            string outcome;
            using (order.InActivity ? Begin() : null)
            {
                try { outcome = await Play(order); }
                catch (Exception e) { outcome = $"{e.GetType().Name}: {e.Message}"; }
            }
            Write(new { t = "done", outcome });
        }
    }

    static void Write(object line)
    {
        string text = JsonSerializer.Serialize(line);
        lock (gate) { Console.Out.Write(text + "\n"); Console.Out.Flush(); }
    }

    static Activity Begin()
    {
        var activity = app.StartActivity("app.client")!;
        activity.TraceStateString = "vendor=1";
        activity.AddBaggage("color", "blue");
        return activity;
    }

    static async Task<string> Play(Order o)
    {
        var args = o.Args?.Select(a => a.ValueKind == JsonValueKind.Number ? (object?)a.GetInt32() : a.GetString()).ToArray() ?? [];
        switch (o.Do)
        {
            case "start":
                var builder = new HubConnectionBuilder().WithUrl(o.Url!, c =>
                {
                    c.Transports = Enum.Parse<HttpTransportType>(o.Transport ?? "WebSockets");
                    c.SkipNegotiation = o.Method == "skip";
                    c.AccessTokenProvider = o.Url!.Contains("refresh") ? () => Task.FromResult<string?>("user=a&expires=60") : null;
                });
                if (o.Protocol == "messagepack") builder.AddMessagePackProtocol();
                if (o.Method == "stateful") builder.WithStatefulReconnect();
                connection = builder.Build();
                connection.On<string, string>("Ask", _ => Task.FromResult("answer"));
                connection.On<string>("M", _ => { });
                await connection.StartAsync();
                return "started";
            case "stop": await connection!.DisposeAsync(); return "stopped";
            case "invoke": return $"returned {await connection!.InvokeCoreAsync<object?>(o.Method!, args) ?? "null"}";
            case "send": await connection!.SendCoreAsync(o.Method!, args); return "sent";
            case "stream":
                var items = new List<object?>();
                await foreach (var item in connection!.StreamAsyncCore<object?>(o.Method!, args)) items.Add(item);
                return $"items {string.Join(",", items)}";
            case "stream and cancel":
                using (var cancel = new CancellationTokenSource())
                {
                    // Behind the first item, while it waits for another one: else the exception is another.
                    await using var stream = connection!.StreamAsyncCore<object?>(o.Method!, args, cancel.Token).GetAsyncEnumerator();
                    var next = stream.MoveNextAsync();
                    do
                    {
                        if (!await next) return "ended";
                        next = stream.MoveNextAsync();
                    } while (next.IsCompleted);
                    cancel.Cancel();
                    return $"goes on: {await next}";
                }
            case "invoke and cancel":
                using (var cancel = new CancellationTokenSource())
                {
                    var call = connection!.InvokeCoreAsync<object?>(o.Method!, args, cancel.Token);
                    Console.In.ReadLine();
                    cancel.Cancel();
                    return $"returned {await call}";
                }
            case "upload": return $"returned {await connection!.InvokeAsync<int>("Sum", Items())}";
            case "refresh": await connection!.RefreshAuthenticationAsync(); return "refreshed";
            default: throw new NotSupportedException(o.Do);
        }
    }

    static async IAsyncEnumerable<int> Items() { for (var i = 1; i <= 3; i++) { await Task.Yield(); yield return i; } }
}
