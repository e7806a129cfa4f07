// An ASP.NET Core node passes the requests of connections that Go nodes of its fleet have given out on to them (Hubwire
// with backplane.Options.AnyNode), so that the balancer in front needs no sticky sessions. A sample: copy it, and call it
// before everything else, so that the Go node alone decides about origins and users. (WebApplication puts authorization
// in front by itself, unless the app calls UseAuthorization: then both decide.) docs/fleet.md says what works.
//
//   app.UseGoConnections("/chat", ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);
//   app.MapHub<ChatHub>("/chat");
//
// An app that has YARP does the same with YARP's IHttpForwarder, for the requests of which IsGoConnection is true.

using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace Hubwire;

public static class GoConnections
{
    /// <summary>Passes the requests of connections that Go nodes have given out on to one of these nodes. Each is served by
    /// any of them; they take turns, and one that cannot be reached is passed over.</summary>
    /// <param name="hub">The path of the hub, the same on all nodes. Nothing beside it and what is below it is passed on.</param>
    /// <param name="nodes">URLs of the Go nodes themselves, not of the balancer.</param>
    /// <param name="negotiate">Whether negotiates are passed on, too. Then all clients are Go's but those that skip negotiation,
    /// and the balancer needs no rule for negotiates.</param>
    public static IApplicationBuilder UseGoConnections(this IApplicationBuilder app, PathString hub, IEnumerable<string> nodes, bool negotiate = false)
    {
        string[] urls = [.. nodes.Select(url => url.TrimEnd('/'))];
        if (urls.Length == 0 || !urls.All(url => Uri.TryCreate(url, UriKind.Absolute, out var to) && to.Scheme is "http" or "https"))
        {
            throw new ArgumentException($"Go nodes need one or more http or https URLs, not \"{string.Join(' ', urls)}\".", nameof(nodes));
        }
        var go = new GoNodes(urls, app.ApplicationServices.GetRequiredService<ILogger<GoNodes>>());
        return app.Use(next => context => IsGoConnection(context.Request, hub, negotiate) ? go.Pass(context) : next(context));
    }

    /// <summary>Whether the connection is a Go node's. A token of ASP.NET Core has no dot.</summary>
    public static bool IsGoConnection(HttpRequest request, PathString hub, bool negotiate) =>
        request.Path.StartsWithSegments(hub, out var rest) && (rest.Value?.TrimEnd('/').ToLowerInvariant()) switch
        {
            "" or null => IsGoToken(request.Query["id"]),
            "/refresh" => IsGoToken(request.Headers["X-SignalR-Connection-Token"]),
            "/negotiate" => negotiate,
            _ => false,
        };

    static bool IsGoToken(string? token) => token?.StartsWith("hw1.", StringComparison.Ordinal) == true;
}

/// <summary>The Go nodes of the fleet. Streams pass in pieces as they come; what one side ends, ends on the other.</summary>
sealed class GoNodes(string[] nodes, ILogger<GoNodes> log)
{
    /// <summary>Says that a node has passed this on: nodes that pass on to each other would never end.</summary>
    const string PassedOn = "X-Hubwire-Passed-On";

    /// <summary>Headers that are for one hop. Kestrel has answered Expect when the body is read.</summary>
    static readonly HashSet<string> hop = new(StringComparer.OrdinalIgnoreCase)
        { "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect" };

    /// <summary>No HttpClient: that has a timeout, which polls and streams would run into. It changes nothing that passes: no
    /// redirects, cookies, decompression, proxies and headers for traces of its own.</summary>
    readonly HttpMessageInvoker http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(2), // a node that is gone without a word
        RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8, // as Kestrel reads them
    });

    uint turn;

    public async Task Pass(HttpContext context)
    {
        if (context.Request.Headers.ContainsKey(PassedOn)) { context.Response.StatusCode = StatusCodes.Status508LoopDetected; return; }
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = null; // the Go node has a limit
        try
        {
            using var answer = await Ask(context);
            context.Response.StatusCode = (int)answer.StatusCode;
            foreach (var (name, values) in answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated))
            {
                if (!hop.Contains(name)) context.Response.Headers[name] = values.ToArray();
            }
            await (answer.StatusCode == HttpStatusCode.SwitchingProtocols ? PassWebSocket(context, answer) : PassBody(context, answer));
        }
        catch (Exception e) when (e is HttpRequestException || IsBroken(e))
        {
            if (context.RequestAborted.IsCancellationRequested) return; // the client has left
            log.LogWarning(e, "A request of a connection of the Go nodes failed");
            if (context.Response.HasStarted) context.Abort(); // the client must not take it for the end
            else context.Response.StatusCode = StatusCodes.Status502BadGateway;
        }
    }

    /// <summary>Asks the node whose turn it is, and the next one only if it cannot be connected to: nothing was sent then.</summary>
    async Task<HttpResponseMessage> Ask(HttpContext context)
    {
        var first = Interlocked.Increment(ref turn);
        for (var i = 0; ; i++)
        {
            var node = nodes[(first + i) % nodes.Length];
            try { return await http.SendAsync(Request(context, node), context.RequestAborted); }
            catch (Exception e) when (i + 1 < nodes.Length && !context.RequestAborted.IsCancellationRequested && e
                is OperationCanceledException // after ConnectTimeout: there is no other timeout
                or HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError })
            {
                log.LogWarning(e, "The Go node {Node} cannot be reached", node);
            }
        }
    }

    /// <summary>The same request to a node. Without a content HttpClient would send it again when the connection breaks, and
    /// the node may have had it already.</summary>
    static HttpRequestMessage Request(HttpContext context, string node)
    {
        var from = context.Request;
        var uri = new Uri(node + from.PathBase.ToUriComponent() + from.Path.ToUriComponent() + from.QueryString.ToUriComponent(),
            new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        var hasBody = context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true;
        var to = new HttpRequestMessage(new(from.Method), uri) { Content = hasBody ? new StreamContent(from.Body) : new ByteArrayContent([]) };
        var named = from.Headers.GetCommaSeparatedValues("Connection");
        foreach (var (name, values) in from.Headers)
        {
            if (name.StartsWith(':') || hop.Contains(name) || named.Contains(name, StringComparer.OrdinalIgnoreCase)) continue;
            if (!to.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values)) to.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        }
        to.Headers.TryAddWithoutValidation(PassedOn, "1");
        var overHttp2 = context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true, Protocol: "websocket" };
        if (overHttp2 || context.Features.Get<IHttpUpgradeFeature>()?.IsUpgradableRequest == true)
        {
            to.Headers.TryAddWithoutValidation("Connection", "Upgrade");
            to.Headers.TryAddWithoutValidation("Upgrade", overHttp2 ? "websocket" : from.Headers.Upgrade.ToString());
        }
        if (overHttp2) // to HTTP/1.1, RFC 8441 section 5
        {
            to.Method = HttpMethod.Get;
            to.Headers.TryAddWithoutValidation("Sec-WebSocket-Key", Convert.ToBase64String(RandomNumberGenerator.GetBytes(16)));
        }
        return to;
    }

    static async Task PassBody(HttpContext context, HttpResponseMessage answer)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        await context.Response.Body.FlushAsync(context.RequestAborted); // the headers of an event stream do not wait for its first event
        await using var body = await answer.Content.ReadAsStreamAsync(context.RequestAborted);
        await body.CopyToAsync(context.Response.Body, context.RequestAborted); // flushes each piece
    }

    /// <summary>Passes the bytes of a WebSocket on in both directions, whatever is in them: protocols, compression and
    /// close frames are agreed on by the client and the Go node.</summary>
    static async Task PassWebSocket(HttpContext context, HttpResponseMessage answer)
    {
        await using var client = await Accept(context);
        await using var node = await answer.Content.ReadAsStreamAsync();
        using var ended = new CancellationTokenSource();
        await Task.WhenAll(Copy(client, node), Copy(node, client));

        async Task Copy(Stream from, Stream to)
        {
            var piece = new byte[16 * 1024];
            try
            {
                for (int n; (n = await from.ReadAsync(piece, ended.Token)) > 0;)
                {
                    // One who takes nothing any more may have said why: it is passed on, the other way.
                    try { await to.WriteAsync(piece.AsMemory(0, n), ended.Token); } catch (Exception e) when (IsBroken(e)) { }
                }
            }
            catch (Exception e) when (IsBroken(e)) { } // a connection that breaks ends
            finally { ended.Cancel(); }
        }
    }

    /// <summary>Whether e says that a connection ended while it was used.</summary>
    static bool IsBroken(Exception e) => e is IOException or OperationCanceledException or ObjectDisposedException;

    static async Task<Stream> Accept(HttpContext context)
    {
        if (context.Features.Get<IHttpExtendedConnectFeature>() is not { IsExtendedConnect: true } http2)
        {
            context.Response.Headers.Upgrade = context.Request.Headers.Upgrade;
            return await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
        }
        context.Response.StatusCode = StatusCodes.Status200OK;
        context.Response.Headers.Remove("Sec-WebSocket-Accept");
        return await http2.AcceptAsync();
    }
}
