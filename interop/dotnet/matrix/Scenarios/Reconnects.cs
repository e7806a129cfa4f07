using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>Automatic and stateful reconnect.</summary>
public static class Reconnects
{
    static readonly TimeSpan[] soon = [TimeSpan.Zero, TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(300), TimeSpan.FromSeconds(2)];

    public static readonly Scenario[] All =
    [
        new("a client whose connection is cut reconnects, as another connection", async t =>
        {
            var proxy = t.Own(new Proxy(t.Nodes.Plain));
            var client = await t.Connect(new() { Node = proxy.Url, Builder = b => b.WithAutomaticReconnect(soon) });
            var (id, group) = (await client.Id(), t.Name("group"));
            await client.Hub.InvokeAsync("Join", group);
            await proxy.CutUntil(() => client.Events.Length > 0);
            var reconnected = await client.Reconnected;
            var now = await client.Id();
            t.True(now != id, "the id is a new one");
            t.True(reconnected == (t.Mode.SkipNegotiation ? null : now), "Reconnected is given the new id");
            await client.Hub.InvokeAsync("SendGroup", group, client.Method, "to the group");
            await client.Hub.InvokeAsync("SendCaller", client.Method, "handlers are kept");
            t.Equal(["handlers are kept"], await client.Received()); // groups are not
            t.True(await client.FirstEvents(2) is [var first, "Reconnected"] && first.StartsWith("Reconnecting ", StringComparison.Ordinal), "Reconnecting, then Reconnected");
        }),
        new("a call that is running when the connection is cut fails", async t =>
        {
            var proxy = t.Own(new Proxy(t.Nodes.Plain));
            var client = await t.Connect(new() { Node = proxy.Url, Builder = b => b.WithAutomaticReconnect(soon) });
            var call = client.Hub.InvokeAsync<string>("Slow", "lost", 5000);
            await Task.Delay(100);
            proxy.Cut();
            t.True(await Case.Ends(call) != "no error", "the call fails");
            await client.Reconnected;
            t.Equal("after", await client.Hub.InvokeAsync<string>("Echo", "after"));
        }),
        new("a Close that allows it makes the client reconnect", async t =>
        {
            var client = await t.Connect(new() { Builder = b => b.WithAutomaticReconnect(soon) });
            t.True(await Case.Ends(client.Hub.InvokeAsync("Echo", new string('x', 32768))) != "no error", "the call fails");
            await client.Reconnected;
            t.Equal("after", await client.Hub.InvokeAsync<string>("Echo", "after"));
            t.Equal(["Reconnecting HubException: The server closed the connection with the following error: Connection closed with an error.", "Reconnected"], await client.FirstEvents(2));
        }),
        new("a Close that does not allow it ends the client", async t =>
        {
            var client = await t.Connect(new() { Builder = b => b.WithAutomaticReconnect(soon) });
            await t.Fails("TaskCanceledException: A task was canceled.", client.Hub.InvokeAsync("Abort"));
            t.Equal(null, await client.Closed);
            t.Equal(["Closed"], await client.FirstEvents(1));
        }),
        new("a client without automatic reconnect ends when its connection is cut", async t =>
        {
            var proxy = t.Own(new Proxy(t.Nodes.Plain));
            var client = await t.Connect(new() { Node = proxy.Url });
            var id = await client.Id();
            await proxy.CutUntil(() => client.Closed.IsCompleted);
            t.True(await client.Closed is not null, "Closed has an error");
            t.Equal(HubConnectionState.Disconnected, client.Hub.State);
            if (Mode.WebSockets(t.Mode)) t.True(await t.Ended(id) != "not called", "OnDisconnectedAsync has run"); // elsewhere the server waits for the client
        }),
        new("a client gives up when its attempts are used up", async t =>
        {
            var proxy = t.Own(new Proxy(t.Nodes.Plain));
            var policy = new Thrice();
            var client = await t.Connect(new() { Node = proxy.Url, Builder = b => b.WithAutomaticReconnect(policy) });
            proxy.Refuse();
            proxy.Cut();
            var closed = Show.Error((await client.Closed)!);
            t.True(closed.StartsWith("OperationCanceledException: Reconnect retries have been exhausted after 3 failed attempts and ", StringComparison.Ordinal), "Closed says that the retries are exhausted");
            t.Equal([0L, 1, 2, 3], policy.Asked);
        }),
        new("a client that is stopped while it reconnects", async t =>
        {
            var proxy = t.Own(new Proxy(t.Nodes.Plain));
            var client = await t.Connect(new() { Node = proxy.Url, Builder = b => b.WithAutomaticReconnect([TimeSpan.FromMinutes(5)]) });
            await proxy.CutUntil(() => client.Hub.State == HubConnectionState.Reconnecting);
            await client.Hub.StopAsync();
            t.Equal("OperationCanceledException: Connection stopped during reconnect delay. Done reconnecting.", Show.Error((await client.Closed)!));
        }),
        new("stateful reconnect: a cut goes unnoticed, and nothing is lost", async t =>
        {
            var proxy = t.Own(new Proxy(t.Nodes.Plain));
            var client = await t.Connect(new() { Node = proxy.Url, Builder = b => b.WithStatefulReconnect() });
            var id = await client.Id();
            var slow = client.Hub.InvokeAsync<string>("Slow", "slow", 500);
            var stream = client.Hub.StreamAsync<int>("Counter", 40, 20).ToListAsync();
            await Task.Delay(200);
            proxy.Cut();
            t.Equal("slow", await slow);
            t.Equal(Enumerable.Range(0, 40), await stream);
            await Task.Delay(1500); // a second cut before the next Ack was sent would be another scenario
            proxy.Cut();
            t.True(await client.Id() == id, "it is the same connection");
            t.Equal([], client.Events);
        }) { In = Mode.OneForEachProtocol },
    ];

    /// <summary>Three attempts, one after the other.</summary>
    sealed class Thrice : IRetryPolicy
    {
        public List<long> Asked { get; } = [];

        public TimeSpan? NextRetryDelay(RetryContext context)
        {
            Asked.Add(context.PreviousRetryCount);
            return context.PreviousRetryCount < 3 ? TimeSpan.FromMilliseconds(20) : null;
        }
    }
}
