using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>Handlers of the client: On in its forms.</summary>
public static class Handlers
{
    public static readonly Scenario[] All =
    [
        new("handlers get messages in the order of the sends", async t =>
        {
            var client = await t.Connect();
            await client.Hub.InvokeAsync("SendCallerOften", 500, client.Method, "one of many");
            t.Equal([.. Enumerable.Repeat("one of many", 500), "last"], await client.Received());
        }),
        new("a handler with several arguments, an object and null among them", async t =>
        {
            var client = await t.Connect();
            var got = new TaskCompletionSource<object?[]>();
            client.Hub.On<Sample, int, string?>("Sample" + client.Method, (sample, number, nothing) => got.SetResult([sample, number, nothing]));
            await client.Hub.InvokeAsync("SendSampleToAll", "Sample" + client.Method);
            t.Equal([Sample.Fixed().InUtc(), 42, null], InUtc(await got.Task));
        }),
        new("a handler by types, with the state it was given", async t =>
        {
            var client = await t.Connect();
            var got = new TaskCompletionSource<object?[]>();
            client.Hub.On("Sample" + client.Method, [typeof(Sample), typeof(long), typeof(object)], (args, state) => { ((TaskCompletionSource<object?[]>)state).SetResult(args); return Task.CompletedTask; }, got);
            await client.Hub.InvokeAsync("SendSampleToAll", "Sample" + client.Method);
            t.Equal([Sample.Fixed().InUtc(), 42L, null], InUtc(await got.Task));
        }),
        new("several handlers of one method, one of them waits", async t =>
        {
            var client = await t.Connect();
            var seen = new List<string>();
            client.Hub.On<string>(client.Method, async text => { seen.Add("waits for " + text); await Task.Delay(30); seen.Add("has waited for " + text); });
            client.Hub.On<string>(client.Method, text => seen.Add("next " + text));
            client.Hub.On<string>(client.Method.ToLowerInvariant(), text => seen.Add("names of handlers have case")); // in this client, not in JavaScript's
            await client.Hub.InvokeAsync("SendCaller", client.Method, "1");
            await client.Hub.InvokeAsync("SendCaller", client.Method, "2");
            t.Equal(["1", "2"], await client.Received());
            t.Equal(["waits for 1", "has waited for 1", "next 1", "waits for 2", "has waited for 2", "next 2"], seen);
        }),
        new("a handler that was removed is not called", async t =>
        {
            var client = await t.Connect();
            var seen = new List<string>();
            var handler = client.Hub.On<string>(client.Method, seen.Add);
            await client.Hub.InvokeAsync("SendCaller", client.Method, "before");
            await client.Received();
            handler.Dispose();
            await client.Hub.InvokeAsync("SendCaller", client.Method, "after");
            t.Equal(["before", "after"], await client.Received());
            t.Equal(["before"], seen);
            client.Hub.Remove(client.Method);
            await client.Hub.InvokeAsync("SendCaller", client.Method, "unheard");
            t.Equal(["before", "after"], await client.Received());
        }),
        new("a handler that fails, or is not there, does not disturb the connection", async t =>
        {
            var client = await t.Connect();
            client.Hub.On<string>("Fails" + client.Method, _ => throw new InvalidOperationException("in the handler"));
            client.Hub.On<int>("Number" + client.Method, _ => { });
            foreach (var method in new[] { "Fails" + client.Method, "Number" + client.Method, "Nobody" + client.Method, client.Method })
            {
                await client.Hub.InvokeAsync("SendCaller", method, "x");
            }
            t.Equal(["x"], await client.Received());
        }),
        new("a record from outside of any call", async t =>
        {
            var client = await t.Connect();
            var got = new TaskCompletionSource<Post>();
            client.Hub.On<Post>("PostPublished", post => { if (post.Id == 7) got.TrySetResult(post); });
            t.Equal("202 ", await t.Post("/api/posts/7/publish"));
            t.Equal(new Post(7, "Post 7", new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc)), await got.Task);
        }),
    ];

    static object?[] InUtc(object?[] args) => [((Sample)args[0]!).InUtc(), .. args[1..]];
}
