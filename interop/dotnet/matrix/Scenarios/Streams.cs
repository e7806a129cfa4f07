using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>Streams from the server, as IAsyncEnumerable and as ChannelReader.</summary>
public static class Streams
{
    public static readonly Scenario[] All =
    [
        new("a stream has its items in order, then an end", async t =>
        {
            var hub = (await t.Connect()).Hub;
            t.Equal([0, 1, 2, 3, 4], await hub.StreamAsync<int>("Counter", 5, 0).ToListAsync());
            t.Equal(["a", "b", "c"], await hub.StreamAsync<string>("Letters", 3).ToListAsync());
            t.Equal([0, 1], await hub.StreamAsync<int>("counter", 2, 10).ToListAsync());
            t.Equal([], await hub.StreamAsync<int>("Counter", 0, 0).ToListAsync());
        }),
        new("a stream as a ChannelReader", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var reader = await hub.StreamAsChannelAsync<int>("Counter", 5, 0);
            t.Equal([0, 1, 2, 3, 4], await reader.ReadAllAsync().ToListAsync());
            await reader.Completion;
            t.Equal(["a", "b"], await (await hub.StreamAsChannelAsync<string>("Letters", 2)).ReadAllAsync().ToListAsync());
        }),
        new("a stream of 5,000 items loses none", async t =>
        {
            var hub = (await t.Connect()).Hub;
            t.Equal(Enumerable.Range(0, 5000), await hub.StreamAsync<int>("Counter", 5000, 0).ToListAsync());
        }),
        new("the items before an error arrive", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var got = new List<int>();
            await t.Fails("HubException: An error occurred on the server while streaming results.", Collect(hub.StreamAsync<int>("CounterThenThrow", 3, "x"), got));
            t.Equal([0, 1, 2], got);
            var reader = await hub.StreamAsChannelAsync<int>("CounterThenThrow", 2, "x");
            await t.Fails("HubException: An error occurred on the server while streaming results.", Collect(reader.ReadAllAsync(), got));
            t.Equal([0, 1, 2, 0, 1], got);
        }),
        new("streams run side by side, each in its order", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var all = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => hub.StreamAsync<int>("Counter", 10 + i, i % 3).ToListAsync().AsTask()));
            t.Equal(Enumerable.Range(0, 20).Select(i => Enumerable.Range(0, 10 + i)), all);
        }),
        new("calls do not wait for a stream", async t =>
        {
            var hub = (await t.Connect()).Hub;
            using var cancel = new CancellationTokenSource();
            var got = new List<int>();
            var stream = Collect(hub.StreamAsync<int>("Counter", int.MaxValue, 30, cancel.Token), got); // has no end of its own
            t.Equal("x", await hub.InvokeAsync<string>("Echo", "x"));
            t.True(!stream.IsCompleted, "the stream goes on");
            await cancel.CancelAsync();
            await Case.Ends(stream);
        }),
        new("a stream that is cancelled by its token ends, and others go on", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var other = hub.StreamAsync<int>("Counter", 30, 10).ToListAsync();
            using var cancel = new CancellationTokenSource();
            var got = new List<int>();
            await t.Fails("TaskCanceledException: A task was canceled.", Collect(hub.StreamAsync<int>("Counter", 100000, 10, cancel.Token), got, 3, cancel.Cancel));
            t.Equal([0, 1, 2], got.Take(3));
            t.Equal(Enumerable.Range(0, 30), await other);
        }),
        new("a stream that its reader leaves ends, and the connection goes on", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var got = new List<int>();
            await foreach (var item in hub.StreamAsync<int>("Counter", 100000, 5))
            {
                got.Add(item);
                if (got.Count == 3) break;
            }
            t.Equal([0, 1, 2], got);
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
        new("a hundred streams that are cancelled at once", async t =>
        {
            var hub = (await t.Connect()).Hub;
            for (var i = 0; i < 100; i++)
            {
                using var cancel = new CancellationTokenSource();
                await hub.StreamAsChannelAsync<int>("Counter", 100000, 1, cancel.Token);
                cancel.Cancel();
            }
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
        new("a stop of the client ends its streams", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var got = new List<int>();
            var stream = Collect(hub.StreamAsync<int>("Counter", 100000, 5), got);
            await hub.InvokeAsync<string>("Echo", "x");
            await hub.StopAsync();
            await t.Fails("OperationCanceledException: The operation was canceled.", stream);
        }),
    ];

    /// <summary>Adds the items of a stream to a list, and does something once there are so many.</summary>
    static async Task Collect(IAsyncEnumerable<int> stream, List<int> got, int count = -1, Action? then = null)
    {
        await foreach (var item in stream)
        {
            got.Add(item);
            if (got.Count == count) then?.Invoke();
        }
    }
}
