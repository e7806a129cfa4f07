using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Hubwire.Matrix;

/// <summary>A TCP proxy in front of a node, which can break what a network breaks.</summary>
public sealed class Proxy : IAsyncDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly ConcurrentDictionary<Socket, bool> sockets = new();
    readonly Uri node;
    volatile bool refuses;

    public Proxy(Uri node)
    {
        this.node = node;
        listener.Start();
        Url = new($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        _ = Accept();
    }

    public Uri Url { get; }

    /// <summary>Resets every connection, both ways.</summary>
    public void Cut()
    {
        foreach (var socket in sockets.Keys)
        {
            sockets.TryRemove(socket, out _);
            socket.Close(0); // RST
        }
    }

    /// <summary>Cuts until it is noticed: between two polls of a client there is nothing to cut.</summary>
    public async Task CutUntil(Func<bool> noticed)
    {
        while (!noticed())
        {
            Cut();
            await Task.Delay(20);
        }
    }

    /// <summary>From now on resets every connection that is made.</summary>
    public void Refuse() => refuses = true;

    public ValueTask DisposeAsync()
    {
        listener.Stop();
        Cut();
        return ValueTask.CompletedTask;
    }

    async Task Accept()
    {
        try
        {
            while (true) _ = Join(await listener.AcceptSocketAsync());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException) { } // the proxy was disposed
    }

    async Task Join(Socket client)
    {
        var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
        if (refuses) client.Close(0);
        else (sockets[client], sockets[server]) = (true, true);
        try
        {
            await server.ConnectAsync(node.Host, node.Port);
            await Task.WhenAll(Copy(client, server), Copy(server, client));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException) { } // one side has closed, so the other is closed too
        foreach (var socket in new[] { client, server })
        {
            sockets.TryRemove(socket, out _);
            socket.Dispose();
        }
    }

    static async Task Copy(Socket from, Socket to)
    {
        var buffer = new byte[16 * 1024];
        for (int n; (n = await from.ReceiveAsync(buffer)) > 0;) await to.SendAsync(buffer.AsMemory(0, n));
        to.Shutdown(SocketShutdown.Send);
    }
}
