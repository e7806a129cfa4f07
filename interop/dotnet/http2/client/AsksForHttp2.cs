namespace Hubwire.Http2;

/// <summary>Asks for HTTP/2 in every request but those of WebSockets, which have options of their own.</summary>
public sealed class AsksForHttp2(HttpMessageHandler inner, HttpVersionPolicy policy) : DelegatingHandler(inner)
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancel)
    {
        if (request.Method != HttpMethod.Connect && request.Headers.Upgrade.Count == 0)
        {
            (request.Version, request.VersionPolicy) = (System.Net.HttpVersion.Version20, policy);
        }
        return base.SendAsync(request, cancel);
    }
}
