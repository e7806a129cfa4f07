using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>How long the client and the server wait for each other.</summary>
public static class Timers
{
    public static readonly Scenario[] All =
    [
        new("a server that is silent too long", async t =>
        {
            var client = await t.Connect(new() { Builder = b => b.WithServerTimeout(TimeSpan.FromMilliseconds(700)) });
            t.Equal("TimeoutException: Server timeout (700.00ms) elapsed without receiving a message from the server.", Show.Error((await client.Closed)!));
        }) { In = m => m.Type != HttpTransportType.LongPolling }, // a poll is proof enough for the client
        new("pings of the server keep a silent connection", async t =>
        {
            var client = await t.Connect(new() { Node = t.Nodes.Impatient, Builder = b => b.WithServerTimeout(TimeSpan.FromSeconds(1.2)).WithKeepAliveInterval(TimeSpan.FromMilliseconds(300)) });
            await Task.Delay(3000);
            t.Equal("still here", await client.Hub.InvokeAsync<string>("Echo", "still here"));
            t.Equal([], client.Events);
        }),
        new("a client that is silent too long", async t =>
        {
            var client = await t.Connect(new() { Node = t.Nodes.Impatient, Builder = b => b.WithKeepAliveInterval(TimeSpan.FromMinutes(10)) });
            var id = await client.Id();
            t.Equal("HubException: The server closed the connection with the following error: Connection closed with an error.", Show.Error((await client.Closed)!));
            t.Equal("OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.", await t.Ended(id, t.Nodes.Impatient));
        }) { In = m => m.Type != HttpTransportType.LongPolling },
        new("a call that takes longer than the client's time limit for silence", async t =>
        {
            var client = await t.Connect(new() { Node = t.Nodes.Impatient, Builder = b => b.WithKeepAliveInterval(TimeSpan.FromMilliseconds(300)).WithServerTimeout(TimeSpan.FromSeconds(1.2)) });
            t.Equal("slow", await client.Hub.InvokeAsync<string>("Slow", "slow", 2500));
        }),
    ];
}
