using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.Http.Connections.Client;
using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>How connections begin and end.</summary>
public static class Connections
{
    const string closedWithError = "HubException: The server closed the connection with the following error: Connection closed with an error.";

    public static readonly Scenario[] All =
    [
        new("a client is stopped and started again, as another connection", async t =>
        {
            var client = t.Client();
            var ids = new HashSet<string>();
            for (var i = 0; i < 3; i++)
            {
                await client.Hub.StartAsync();
                t.Equal(HubConnectionState.Connected, client.Hub.State);
                ids.Add(await client.Id());
                await client.Hub.StopAsync();
                t.Equal(HubConnectionState.Disconnected, client.Hub.State);
            }
            t.Equal(3, ids.Count);
            t.Equal(["Closed", "Closed", "Closed"], await client.FirstEvents(3));
        }),
        new("a client that stops is a disconnect without an error", async t =>
        {
            var client = await t.Connect();
            var id = await client.Id();
            await client.Hub.StopAsync();
            t.Equal("null", await t.Ended(id));
        }),
        new("the server aborts the connection", async t =>
        {
            var client = await t.Connect();
            var id = await client.Id();
            await t.Fails("TaskCanceledException: A task was canceled.", client.Hub.InvokeAsync("Abort"));
            t.Equal(null, await client.Closed);
            t.Equal(HubConnectionState.Disconnected, client.Hub.State);
            t.Equal("null", await t.Ended(id));
        }),
        new("a message sent in OnConnectedAsync arrives first", async t =>
        {
            var client = t.Client(new() { Query = "connected=send" });
            var seen = new List<string>();
            client.Hub.On<string>("M", text => { lock (seen) seen.Add(text); });
            await client.Hub.StartAsync();
            await client.Received();
            t.Equal(["sent in OnConnectedAsync"], seen);
        }),
        new("a question asked in OnConnectedAsync ends the connection", async t =>
        {
            foreach (var (node, more) in new[] { (t.Nodes.Plain, ""), (t.Nodes.Detailed, " InvalidOperationException: Client results inside OnConnectedAsync Hub methods are not allowed.") })
            {
                var client = t.Client(new() { Node = node, Query = "connected=ask" });
                client.Hub.On<string, string>("Ask", question => question);
                await client.Hub.StartAsync();
                t.Equal(closedWithError + more, Show.Error((await client.Closed)!));
            }
        }),
        new("OnConnectedAsync fails", async t =>
        {
            foreach (var (node, more) in new[] { (t.Nodes.Plain, ""), (t.Nodes.Detailed, " InvalidOperationException: thrown in OnConnectedAsync") })
            {
                var client = await t.Connect(new() { Node = node, Query = "connected=throw" });
                t.Equal(closedWithError + more, Show.Error((await client.Closed)!));
            }
        }),
        new("OnConnectedAsync aborts", async t =>
        {
            var client = await t.Connect(new() { Query = "connected=abort" });
            t.Equal(null, await client.Closed);
        }),
        new("a path without a hub", async t =>
        {
            var client = t.Client(new() { Path = "/nothing" });
            await t.Fails(t.Mode.SkipNegotiation
                ? "WebSocketException: The server returned status code '404' when status code '101' was expected."
                : "HttpRequestException: Response status code does not indicate success: 404 (Not Found).", client.Hub.StartAsync());
            t.Equal(HubConnectionState.Disconnected, client.Hub.State);
        }),
        new("a hub for one transport tells the client to use it", async t =>
        {
            foreach (var (path, want) in new[] { ("/hub-websockets", "WebSockets"), ("/hub-longpolling", "LongPolling"), ("/hub-nowebsockets", t.Mode.Json ? "ServerSentEvents" : "LongPolling") })
            {
                var client = await t.Connect(new() { Path = path, Http = o => o.Transports = HttpTransportType.WebSockets | HttpTransportType.ServerSentEvents | HttpTransportType.LongPolling });
                t.Equal(want, await client.Hub.InvokeAsync<string>("Transport"));
            }
        }) { In = Mode.OneForEachProtocol },
        new("a transport that the hub does not offer", async t =>
        {
            var client = t.Client(new() { Path = t.Mode.Type == HttpTransportType.WebSockets ? "/hub-nowebsockets" : "/hub-websockets" });
            await t.FailsBeginning("AggregateException: Unable to connect to the server with any of the available transports. ", client.Hub.StartAsync());
        }) { In = Mode.Negotiated },
        new("MessagePack is not offered over Server-Sent Events", async t =>
        {
            var client = t.Client(new() { Http = o => o.Transports = HttpTransportType.ServerSentEvents });
            await t.FailsBeginning("AggregateException: Unable to connect to the server with any of the available transports. ", client.Hub.StartAsync());
        }) { In = m => Mode.OneForEachProtocol(m) && m.MessagePack },
        new("bytes without a hub", async t =>
        {
            var raw = await Raw(t, t.Nodes.Plain, "/echo");
            await raw.Transport.Output.WriteAsync("hello"u8.ToArray());
            var got = "";
            while (got.Length < 5)
            {
                var read = await raw.Transport.Input.ReadAsync();
                foreach (var segment in read.Buffer) got += Encoding.UTF8.GetString(segment.Span);
                raw.Transport.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }
            t.Equal("hello", got);
        }),
    ];

    /// <summary>A connection of this mode with nothing on it yet.</summary>
    public static async Task<HttpConnection> Raw(Case t, Uri node, string path)
    {
        var connection = t.Own(new HttpConnection(new HttpConnectionOptions
        {
            Url = new Uri(node, path),
            Transports = t.Mode.Type,
            SkipNegotiation = t.Mode.SkipNegotiation,
            DefaultTransferFormat = t.Mode.MessagePack ? TransferFormat.Binary : TransferFormat.Text,
        }, loggerFactory: null));
        await connection.StartAsync();
        return connection;
    }
}
