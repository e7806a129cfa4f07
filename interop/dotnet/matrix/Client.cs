using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http.Connections.Client;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Hubwire.Matrix;

/// <summary>What a client is built with, on top of its mode.</summary>
public sealed record Setup
{
    public Uri? Node { get; init; }
    public string Path { get; init; } = "/hub";
    public string Query { get; init; } = "";
    public Action<HttpConnectionOptions>? Http { get; init; }
    public Action<IHubConnectionBuilder>? Builder { get; init; }
}

/// <summary>A hub connection that remembers what it has received.</summary>
public sealed class Client : IAsyncDisposable
{
    static int clients;

    readonly TaskCompletionSource<Exception?> closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource<string?> reconnected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly ConcurrentQueue<string> received = new();
    readonly ConcurrentQueue<string> events = new();

    public Client(Mode mode, Nodes nodes, Setup setup)
    {
        var url = new Uri(setup.Node ?? nodes.Plain, setup.Path + (setup.Query == "" ? "" : "?" + setup.Query));
        var builder = new HubConnectionBuilder().WithUrl(url, o =>
        {
            o.Transports = mode.Type;
            o.SkipNegotiation = mode.SkipNegotiation;
            setup.Http?.Invoke(o);
        });
        if (mode.MessagePack) builder.AddMessagePackProtocol();
#if NET11_0_OR_GREATER
        if (mode.Newtonsoft) builder.AddNewtonsoftJsonProtocol();
#endif
        setup.Builder?.Invoke(builder);
        Hub = builder.Build();
        Hub.On<string>(Method, text => received.Enqueue(text));
        Hub.Closed += e => { events.Enqueue("Closed" + About(e)); closed.TrySetResult(e); return Task.CompletedTask; };
        Hub.Reconnecting += e => { events.Enqueue("Reconnecting" + About(e)); return Task.CompletedTask; };
        Hub.Reconnected += id => { events.Enqueue("Reconnected"); reconnected.TrySetResult(id); return Task.CompletedTask; };
    }

    public HubConnection Hub { get; }

    /// <summary>A method of this client that no other client has, so that cases do not disturb each other.</summary>
    public string Method { get; } = $"M{Interlocked.Increment(ref clients)}";

    /// <summary>The calls of Closed, Reconnecting and Reconnected, in order.</summary>
    public string[] Events => events.ToArray();

    /// <summary>Completes with what Closed is given.</summary>
    public Task<Exception?> Closed => closed.Task;

    /// <summary>Completes with what Reconnected is given.</summary>
    public Task<string?> Reconnected => reconnected.Task;

    /// <summary>What Method was called with, once everything that was sent before has arrived.</summary>
    public async Task<string[]> Received()
    {
        await Barrier(Hub, Method + " barrier");
        return received.ToArray();
    }

    /// <summary>Waits until the handlers of all that was sent before have run: they run in order, but apart from the results of calls.</summary>
    public static async Task Barrier(HubConnection hub, string method)
    {
        var reached = new TaskCompletionSource();
        using var handler = hub.On<string>(method, _ => reached.TrySetResult());
        await hub.InvokeAsync("SendCaller", method, "");
        await reached.Task;
    }

    /// <summary>The events, once there are so many; they are raised beside what the client's user does.</summary>
    public async Task<string[]> FirstEvents(int count)
    {
        for (var i = 0; i < 500 && events.Count < count; i++) await Task.Delay(10);
        return Events;
    }

    public Task<string> Id() => Hub.InvokeAsync<string>("ConnectionId");

    public ValueTask DisposeAsync() => Hub.DisposeAsync();

    static string About(Exception? e) => e is null ? "" : $" {Show.Error(e)}";
}
