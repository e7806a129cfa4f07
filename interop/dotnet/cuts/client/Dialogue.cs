using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Hubwire.Cuts;

/// <summary>A line of the input.</summary>
public sealed record Line(string Protocol, string Name, Uri Url);

/// <summary>A line of the output. Starts is how often StartAsync had to be called.</summary>
public sealed record Result(string Name, int Starts, string? Error, long Ms);

/// <summary>Calls, sends, a stream in each direction, all at once: nothing is lost, nothing comes twice, the order is kept.</summary>
public sealed class Dialogue
{
    const int Count = 4;

    /// <summary>Far more than a dialogue needs: only one that would never end reaches it.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(40);

    readonly HubConnection hub;
    readonly ConcurrentQueue<string> got = new();
    readonly ConcurrentQueue<string> events = new();
    int starts;

    Dialogue(Line line)
    {
        var builder = new HubConnectionBuilder()
            .WithUrl(line.Url, o => o.Transports = HttpTransportType.WebSockets)
            .WithStatefulReconnect();
        if (line.Protocol == "messagepack") builder.AddMessagePackProtocol();
        hub = builder.Build();
        hub.HandshakeTimeout = TimeSpan.FromSeconds(5);
        hub.On<string>("M", got.Enqueue);
        hub.Closed += e => { events.Enqueue($"closed: {e?.Message}"); return Task.CompletedTask; };
    }

    public static async Task<Result> Play(Line line)
    {
        var watch = Stopwatch.StartNew();
        var d = new Dialogue(line);
        string? error = null;
        try { await d.Play().WaitAsync(Limit); }
        catch (Exception e) { error = $"{e.GetType().Name}: {e.Message}; received {Show(d.got)}, events {Show(d.events)}"; }
        try { await d.hub.DisposeAsync().AsTask().WaitAsync(Limit); }
        catch (Exception e) { error ??= $"at the end: {e}"; }
        return new(line.Name, d.starts, error, watch.ElapsedMilliseconds);
    }

    async Task Play()
    {
        await Start();
        var id = hub.ConnectionId;
        // A call is begun before the one before it is answered, so that a cut finds something in both directions.
        var stream = Items(hub.StreamAsync<int>("Counter", Count, 0));
        var upload = hub.InvokeAsync<int>("Sum", Numbers());
        var calls = new List<Task<string>>();
        var sends = new List<Task>();
        for (var i = 0; i < Count; i++)
        {
            calls.Add(hub.InvokeAsync<string>("Echo", $"e{i}"));
            sends.Add(hub.SendAsync("SendCaller", "M", $"m{i}"));
        }
        await Task.WhenAll(sends);
        Same(Range("e"), await Task.WhenAll(calls), "results");
        Same(Enumerable.Range(0, Count), await stream, "the stream");
        Same([6], [await upload], "the sum of the upload");
        Same([id!], [await hub.InvokeAsync<string>("ConnectionId")], "the connection id");
        for (var i = 0; i < 500 && got.Count < Count; i++) await Task.Delay(10); // handlers run beside the results of calls
        Same(Range("m"), got, "messages");
        Same([], events, "events");
        await hub.StopAsync();
        Same(["closed: "], events, "events at the end");
    }

    /// <summary>Starts the connection, once more if the network broke before it was there.</summary>
    async Task Start()
    {
        starts++;
        try { await hub.StartAsync(); }
        catch (Exception) when (starts == 1) { await Start(); }
    }

    static async IAsyncEnumerable<int> Numbers()
    {
        for (var i = 1; i <= 3; i++) yield return i;
        await Task.CompletedTask;
    }

    static async Task<List<T>> Items<T>(IAsyncEnumerable<T> stream)
    {
        var list = new List<T>();
        await foreach (var item in stream) list.Add(item);
        return list;
    }

    static IEnumerable<string> Range(string prefix) => Enumerable.Range(0, Count).Select(i => $"{prefix}{i}");

    static void Same<T>(IEnumerable<T> want, IEnumerable<T> have, string what)
    {
        if (!want.SequenceEqual(have)) throw new InvalidOperationException($"{what}: got {Show(have)}, want {Show(want)}");
    }

    static string Show<T>(IEnumerable<T> list) => $"[{string.Join(", ", list)}]";
}
