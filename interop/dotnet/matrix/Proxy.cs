using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Hubwire.Matrix;

/// <summary>
/// A TCP proxy in front of a node, which can break what a network breaks. If SERVICE is the URL of a service that the node
/// sends clients to, it is in front of that, too.
/// </summary>
public sealed class Proxy : IAsyncDisposable
{
    static readonly string? service = Environment.GetEnvironmentVariable("SERVICE");

    readonly List<TcpListener> listeners = [];
    readonly ConcurrentDictionary<Socket, bool> sockets = new();
    readonly string? ofService; // where it is in front of the service
    volatile bool refuses;

    public Proxy(Uri node)
    {
        if (service is not null) ofService = Listen(new(service));
        Url = new(Listen(node));
    }

    public Uri Url { get; }

    string Listen(Uri target)
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        listeners.Add(listener);
        _ = Accept(listener, target);
        return $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";
    }

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
        foreach (var listener in listeners) listener.Stop();
        Cut();
        return ValueTask.CompletedTask;
    }

    async Task Accept(TcpListener listener, Uri target)
    {
        try
        {
            while (true) _ = Join(await listener.AcceptSocketAsync(), target);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException) { } // the proxy was disposed
    }

    async Task Join(Socket client, Uri target)
    {
        var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
        if (refuses) client.Close(0);
        else (sockets[client], sockets[server]) = (true, true);
        try
        {
            await server.ConnectAsync(target.Host, target.Port);
            await Task.WhenAll(Copy(client, server, bytes => bytes), Copy(server, client, Redirected));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException) { } // one side has closed, so the other is closed too
        foreach (var socket in new[] { client, server })
        {
            sockets.TryRemove(socket, out _);
            socket.Dispose();
        }
    }

    /// <summary>What the node answers, with this proxy in place of the service: ports have five digits, so that lengths stay.</summary>
    Memory<byte> Redirected(Memory<byte> bytes)
    {
        if (ofService is null || bytes.Span.IndexOf(Encoding.Latin1.GetBytes(service!)) < 0) return bytes;
        if (ofService.Length != service!.Length) throw new InvalidOperationException($"{ofService} is not as long as {service}");
        return Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(bytes.Span).Replace(service, ofService));
    }

    static async Task Copy(Socket from, Socket to, Func<Memory<byte>, Memory<byte>> change)
    {
        var buffer = new byte[16 * 1024];
        for (int n; (n = await from.ReceiveAsync(buffer)) > 0;) await to.SendAsync(change(buffer.AsMemory(0, n)));
        to.Shutdown(SocketShutdown.Send);
    }
}
