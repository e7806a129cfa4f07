// Plays one scenario with the official .NET client over TLS and prints what it saw as one JSON object:
//
//   dotnet http2-client.dll URL TRANSPORT VERSION THUMBPRINT
//
// All requests but those of WebSockets are sent over HTTP/2 where the server speaks it: the client does so by itself.
// VERSION is how it asks for WebSockets:
//
//   default            as it does without options: over HTTP/1.1
//   exactly            over HTTP/2
//   orlower            over HTTP/2, or else over HTTP/1.1
//   orlower-repaired   likewise, with a way around the client's defect: see KeepsHttp1
//
// The server's certificate must have the given SHA-256 thumbprint; no other is taken.

using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Hubwire.Http2;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;

if (args is not [var url, var transport, "default" or "exactly" or "orlower" or "orlower-repaired", var thumbprint])
{
    Console.Error.WriteLine("usage: http2-client URL TRANSPORT default|exactly|orlower|orlower-repaired THUMBPRINT");
    return 2;
}
var version = args[2];
bool Known(X509Certificate? certificate) => certificate?.GetCertHashString(HashAlgorithmName.SHA256) == thumbprint;

await using var hub = new HubConnectionBuilder().WithUrl(url, o =>
{
    o.Transports = Enum.Parse<HttpTransportType>(transport);
    o.HttpMessageHandlerFactory = handler =>
    {
        ((HttpClientHandler)handler).ServerCertificateCustomValidationCallback = (_, certificate, _, _) => Known(certificate);
        return version == "orlower-repaired" ? new KeepsHttp1(handler) : handler;
    };
    o.WebSocketConfiguration = socket =>
    {
        if (version == "default")
        {
            // Over HTTP/1.1 WebSockets do not go through the handler.
            socket.RemoteCertificateValidationCallback = (_, certificate, _, _) => Known(certificate);
            return;
        }
        socket.HttpVersion = HttpVersion.Version20;
        socket.HttpVersionPolicy = version == "exactly" ? HttpVersionPolicy.RequestVersionExact : HttpVersionPolicy.RequestVersionOrLower;
    };
}).Build();

try
{
    Console.WriteLine(JsonSerializer.Serialize(await Scenario.Play(hub), JsonSerializerOptions.Web));
    return 0;
}
catch (Exception e)
{
    Console.Error.WriteLine(e);
    return 1;
}
