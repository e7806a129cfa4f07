using System.Threading.Channels;
using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>Streams from the client, as IAsyncEnumerable and as ChannelReader.</summary>
public static class Uploads
{
    public static readonly Scenario[] All =
    [
        new("a method reads the items of a stream to its end", async t =>
        {
            var hub = (await t.Connect()).Hub;
            t.Equal("abc", await hub.InvokeAsync<string>("Concat", Items("a", "b", "c")));
            t.Equal("abc", await hub.InvokeAsync<string>("Concat", Channel("a", "b", "c")));
            t.Equal("", await hub.InvokeAsync<string>("Concat", Items<string>()));
            t.Equal(6, await hub.InvokeAsync<int>("Sum", Items(1, 2, 3)));
            t.Equal(6, await hub.InvokeAsync<int>("Sum", Channel(1, 2, 3)));
            t.Equal("grüße \U0001F680", await hub.InvokeAsync<string>("Concat", Items("grüße ", "\U0001F680")));
        }),
        new("two streams and an argument between them", async t =>
        {
            var hub = (await t.Connect()).Hub;
            t.Equal("a-1,b-2", await hub.InvokeAsync<string>("Zip", Together("a", "b"), "-", Together("1", "2")));
        }),
        new("many items arrive in order, none lost", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var numbers = Enumerable.Range(0, Mode.WebSockets(t.Mode) ? 2000 : 200).ToArray(); // elsewhere each item is a POST
            t.Equal(string.Concat(numbers), await hub.InvokeAsync<string>("Concat", Items(numbers.Select(i => i.ToString()).ToArray())));
        }),
        new("uploads run side by side", async t =>
        {
            var hub = (await t.Connect()).Hub;
            t.Equal([3, 7, 11], await Task.WhenAll(hub.InvokeAsync<int>("Sum", Items(1, 2)), hub.InvokeAsync<int>("Sum", Items(3, 4)), hub.InvokeAsync<int>("Sum", Items(5, 6))));
        }),
        new("an error of the client's stream reaches the method", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var failure = await hub.InvokeAsync<string>("Failure", Failing(new InvalidOperationException("upload failed"), 1));
            t.Equal("HubException: Stream errored by client: 'System.InvalidOperationException: upload failed", failure.Split('\n')[0].TrimEnd('\r')); // the rest is the client's stack
            t.Equal("HubException: Stream canceled by client.", await hub.InvokeAsync<string>("Failure", Failing(new OperationCanceledException(), 1)));
            await t.FailsBeginning("HubException: An unexpected error occurred invoking 'Sum' on the server. HubException: Stream errored by client: 'System.InvalidOperationException: upload failed", hub.InvokeAsync<int>("Sum", Failing(new InvalidOperationException("upload failed"), 1)));
        }),
        new("an upload that is cancelled by its token", async t =>
        {
            var hub = (await t.Connect()).Hub;
            using var cancel = new CancellationTokenSource();
            var channel = System.Threading.Channels.Channel.CreateUnbounded<int>();
            channel.Writer.TryWrite(1);
            var call = hub.InvokeAsync<string>("Failure", channel.Reader, cancel.Token);
            await hub.SendAsync("Nothing");
            cancel.Cancel();
            await t.Fails("TaskCanceledException: A task was canceled.", call);
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
        new("an item of the wrong type ends the stream, not the connection", async t =>
        {
            var hub = (await t.Connect()).Hub;
            t.Equal("HubException: Failed to bind Stream message.", await hub.InvokeAsync<string>("Failure", Items<object>(1, "not a number")));
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
        new("too many streams, and none where one is needed", async t =>
        {
            var hub = (await t.Connect()).Hub;
            await t.Fails("HubException: An unexpected error occurred invoking 'Concat' on the server. HubException: Client sent 2 stream(s), Hub method expects 1.", hub.InvokeAsync<string>("Concat", Items("a"), Items("b")));
            await t.Fails("HubException: An unexpected error occurred invoking 'Concat' on the server. HubException: Client sent 0 stream(s), Hub method expects 1.", hub.InvokeAsync<string>("Concat"));
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
        new("a method may return before the stream has ended", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var channel = System.Threading.Channels.Channel.CreateUnbounded<int>();
            channel.Writer.TryWrite(7);
            t.Equal("read 7", await hub.InvokeAsync<string>("ReadOne", channel.Reader, 0));
            channel.Writer.TryWrite(8);
            channel.Writer.Complete();
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
        new("a send with a stream is not answered", async t =>
        {
            var hub = (await t.Connect()).Hub;
            await hub.SendAsync("Concat", Items("x", "y"));
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
        new("a stream in answer to a stream", async t =>
        {
            var hub = (await t.Connect()).Hub;
            t.Equal(["a", "b", "c"], await hub.StreamAsync<string>("EchoStream", Items("a", "b", "c")).ToListAsync());
            var channel = System.Threading.Channels.Channel.CreateUnbounded<string>();
            channel.Writer.TryWrite("0");
            var got = new List<string>();
            await foreach (var item in hub.StreamAsync<string>("EchoStream", channel.Reader)) // each answer asks for the next
            {
                got.Add(item);
                if (got.Count < 20) channel.Writer.TryWrite($"{got.Count}");
                else channel.Writer.Complete();
            }
            t.Equal(Enumerable.Range(0, 20).Select(i => $"{i}"), got);
        }),
        new("an error of the client's stream ends the stream in answer", async t =>
        {
            var hub = (await t.Connect()).Hub;
            await t.FailsBeginning("HubException: An error occurred on the server while streaming results. HubException: Stream errored by client: 'System.InvalidOperationException: upload failed", hub.StreamAsync<string>("EchoStream", Failing(new InvalidOperationException("upload failed"), "a")).ToListAsync().AsTask());
        }),
    ];

    /// <summary>Items that end some time after the last one: where one of several streams ends, this client fails to send more items of the others.</summary>
    static async IAsyncEnumerable<T> Together<T>(params T[] items)
    {
        foreach (var item in items) yield return item;
        await Task.Delay(300);
    }

    static async IAsyncEnumerable<T> Items<T>(params T[] items)
    {
        foreach (var item in items)
        {
            await Task.Yield();
            yield return item;
        }
    }

    static ChannelReader<T> Channel<T>(params T[] items)
    {
        var channel = System.Threading.Channels.Channel.CreateUnbounded<T>();
        foreach (var item in items) channel.Writer.TryWrite(item);
        channel.Writer.Complete();
        return channel.Reader;
    }

    /// <summary>One item, then the error.</summary>
    static async IAsyncEnumerable<T> Failing<T>(Exception error, T item)
    {
        yield return item;
        await Task.Delay(20);
        throw error;
    }
}
