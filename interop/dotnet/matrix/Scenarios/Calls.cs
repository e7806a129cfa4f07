using System.Diagnostics;
using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>Calls, sends and their results.</summary>
public static class Calls
{
    static readonly string[] texts = ["", "hello", "grüße \"<&>' \\ / \U0001F680", "\0\u0001\t\r\n\u001f\u007f", "\u2028\u2029\ufeff", "שלום", "e\u0301 é", new('漢', 1000), "\U0010FFFF"];

    public static readonly Scenario[] All =
    [
        new("a call returns what the method returns", async t =>
        {
            var hub = (await t.Connect()).Hub;
            t.Equal(3, await hub.InvokeAsync<int>("Add", 1, 2));
            t.Equal(int.MinValue, await hub.InvokeAsync<int>("Add", int.MinValue, 0));
            t.Equal(4294967295, await hub.InvokeAsync<long>("AddLong", -1L, 4294967296L));
            t.Equal(long.MaxValue, await hub.InvokeAsync<long>("AddLong", long.MaxValue, 0L));
            t.Equal(255, await hub.InvokeAsync<byte>("EchoByte", (byte)255));
            t.Equal("xxxxxxxxxx", await hub.InvokeAsync<string>("Text", 10));
            t.Equal(t.Mode.Type.ToString(), await hub.InvokeAsync<string>("Transport"));
        }),
        new("a method without a result, and null as a result", async t =>
        {
            var hub = (await t.Connect()).Hub;
            await hub.InvokeAsync("Nothing");
            t.Equal(null, await hub.InvokeAsync<object?>("Nothing"));
            t.Equal(null, await hub.InvokeAsync<string?>("NullResult"));
            await hub.InvokeAsync("Echo", "a result that nobody wants");
        }),
        new("names of methods match without regard to case", async t =>
        {
            var hub = (await t.Connect()).Hub;
            foreach (var name in new[] { "Echo", "echo", "ECHO" }) t.Equal(name, await hub.InvokeAsync<string>(name, name));
            foreach (var name in new[] { "renamed", "RENAMED" }) t.Equal("renamed", await hub.InvokeAsync<string>(name));
        }),
        new("text comes back as it went", async t =>
        {
            var hub = (await t.Connect()).Hub;
            foreach (var text in texts) t.Equal(text, await hub.InvokeAsync<string>("Echo", text));
            t.Equal(null, await hub.InvokeAsync<string?>("Echo", null));
        }),
        new("big messages both ways", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var text = new string('x', 30000);
            t.Equal(text, await hub.InvokeAsync<string>("Echo", text));
            t.Equal(new string('x', 1000000), await hub.InvokeAsync<string>("Text", 1000000));
        }),
        new("a send is not answered, and its errors are nobody's", async t =>
        {
            var client = await t.Connect();
            await client.Hub.SendAsync("SendCaller", client.Method, "sent");
            await client.Hub.SendAsync("NoSuchMethod");
            await client.Hub.SendAsync("Throw", "unseen");
            await client.Hub.SendAsync("Add", "one", "two");
            t.Equal(["sent"], await client.Received());
        }),
        new("the calls of one client run one after the other", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var watch = Stopwatch.StartNew();
            var slow = new[] { hub.InvokeAsync<string>("Slow", "first", 150), hub.InvokeAsync<string>("Slow", "second", 150) };
            t.Equal("third", await hub.InvokeAsync<string>("Echo", "third"));
            t.True(watch.ElapsedMilliseconds >= 290, "the third waited for the first two");
            t.Equal(["first", "second"], await Task.WhenAll(slow));
        }),
        new("the calls of two clients do not wait for each other", async t =>
        {
            var (a, b) = (await t.Connect(), await t.Connect());
            var slow = a.Hub.InvokeAsync<string>("Slow", "slow", 600000);
            t.Equal("quick", await b.Hub.InvokeAsync<string>("Echo", "quick"));
            await a.Hub.StopAsync();
            await t.Fails("TaskCanceledException: A task was canceled.", slow);
        }),
        new("1,000 calls at once are all answered", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var sums = await Task.WhenAll(Enumerable.Range(0, 1000).Select(i => hub.InvokeAsync<int>("Add", i, 1)));
            t.Equal(Enumerable.Range(1, 1000), sums);
        }),
        new("a caller that gives up does not disturb the connection", async t =>
        {
            // The call is answered when another client answers a question, and that does so after the caller has given up.
            var (hub, asked) = ((await t.Connect()).Hub, await t.Connect());
            var (came, answer) = (new TaskCompletionSource(), new TaskCompletionSource<string>());
            using var asking = asked.Hub.On<string, string>("Late", _ => { came.TrySetResult(); return answer.Task; });
            using var cancel = new CancellationTokenSource();
            var call = hub.InvokeAsync<string>("Ask", await asked.Id(), "Late", "q", cancel.Token);
            await Task.WhenAny(came.Task, call);
            await cancel.CancelAsync();
            await t.Fails("TaskCanceledException: A task was canceled.", call);
            answer.SetResult("late");
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
        new("the client knows its connection's id, unless it did not negotiate", async t =>
        {
            var client = await t.Connect();
            var id = await client.Id();
            t.Equal(22, id.Length);
            t.True(client.Hub.ConnectionId == (t.Mode.SkipNegotiation ? null : id), "ConnectionId is that of the server");
        }),
    ];
}
