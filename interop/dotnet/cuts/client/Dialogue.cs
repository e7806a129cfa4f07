using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Hubwire.Cuts;

/// <summary>A line of the input.</summary>
public sealed record Line(string Protocol, string Name, bool StreamEndsFirst, TimeSpan Limit, Uri Url);

/// <summary>A line of the output. Starts is how often StartAsync had to be called.</summary>
public sealed record Result(string Name, int Starts, string? Error, long Ms);

/// <summary>
/// Calls, sends and a stream in each direction, all at once: nothing is lost, nothing comes twice, the order is kept. The
/// stream ends behind everything else, or before anything else is sent.
/// </summary>
public sealed class Dialogue
{
    const int Count = 4;

    readonly HubConnection hub;
    readonly bool streamEndsFirst;
    readonly ConcurrentQueue<string> got = new();
    readonly TaskCompletionSource<string?> closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
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
        hub.Closed += e => { closed.TrySetResult(e?.Message); return Task.CompletedTask; };
        streamEndsFirst = line.StreamEndsFirst;
    }

    public static async Task<Result> Play(Line line)
    {
        var watch = Stopwatch.StartNew();
        var d = new Dialogue(line);
        string? error = null;
        try { await d.Play().WaitAsync(line.Limit); }
        catch (Exception e) { error = $"{e}; received {Show(d.got)}"; }
        try { await d.hub.DisposeAsync().AsTask().WaitAsync(line.Limit); }
        catch (Exception e) { error ??= $"at the end: {e}"; }
        return new(line.Name, d.starts, error, watch.ElapsedMilliseconds);
    }

    async Task Play()
    {
        await Start();
        var id = hub.ConnectionId;
        var end = new TaskCompletionSource();
        if (streamEndsFirst) end.SetResult();
        // Calls are begun before others are answered, so that a cut finds something in both directions.
        var stream = Items(hub.StreamAsync<string>("EchoStream", Texts(end.Task)));
        if (streamEndsFirst) await stream;
        var calls = new List<Task<string>>();
        var sends = new List<Task>();
        for (var i = 0; i < Count; i++)
        {
            calls.Add(hub.InvokeAsync<string>("Echo", $"e{i}"));
            sends.Add(hub.SendAsync("SendCaller", "M", $"m{i}"));
        }
        await Task.WhenAll(sends);
        Same(Range("e"), await Task.WhenAll(calls), "results");
        Same([id!], [await hub.InvokeAsync<string>("ConnectionId")], "the connection id");
        for (var i = 0; i < 500 && got.Count < Count; i++) await Task.Delay(10); // handlers run beside the results of calls
        Same(Range("m"), got, "messages");
        end.TrySetResult();
        Same(Range("s"), await stream, "the stream");
        if (closed.Task.IsCompleted) throw new InvalidOperationException($"closed: {await closed.Task}");
        await hub.StopAsync();
        await closed.Task; // with an error if the network breaks in the farewell
    }

    /// <summary>Starts the connection, once more if the network broke before it was there.</summary>
    async Task Start()
    {
        starts++;
        try { await hub.StartAsync(); }
        catch (Exception) when (starts == 1) { await Start(); }
    }

    static async IAsyncEnumerable<string> Texts(Task end)
    {
        foreach (var text in Range("s")) yield return text;
        await end;
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
