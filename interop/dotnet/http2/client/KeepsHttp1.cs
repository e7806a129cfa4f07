using System.Net;

namespace Hubwire.Http2;

/// <summary>
/// A way around a defect of the client. To fall back, ClientWebSocket sends a second request, an Upgrade over HTTP/1.1. The
/// client's Http2HttpMessageHandler writes HTTP/2 into every request, into this one too: it arrives as a GET that asks for
/// no upgrade, or, where the server has no HTTP/2, is not sent at all. The handler that the user gives comes behind the
/// client's own, so it can write HTTP/1.1 back.
/// </summary>
/// Source: Http2HttpMessageHandler.cs and HttpConnection.cs (CreateHttpClient) in dotnet/aspnetcore.
public sealed class KeepsHttp1(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancel)
    {
        if (request.Headers.Upgrade.Count > 0) request.Version = HttpVersion.Version11;
        return base.SendAsync(request, cancel);
    }
}
