// Plays one scenario with the official .NET client over TLS and prints what it saw as one JSON object:
//
//   dotnet http2-client.dll URL TRANSPORT exactly|orlower THUMBPRINT
//
// The client asks for HTTP/2 in all that it sends: "exactly" fails if the server does not speak it, "orlower" then takes
// HTTP/1.1. The server's certificate must have the given SHA-256 thumbprint; no other is taken.

using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Hubwire.Http2;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;

if (args is not [var url, var transport, "exactly" or "orlower", var thumbprint])
{
    Console.Error.WriteLine("usage: http2-client URL TRANSPORT exactly|orlower THUMBPRINT");
    return 2;
}
var policy = args[2] == "exactly" ? HttpVersionPolicy.RequestVersionExact : HttpVersionPolicy.RequestVersionOrLower;

await using var hub = new HubConnectionBuilder().WithUrl(url, o =>
{
    o.Transports = Enum.Parse<HttpTransportType>(transport);
    o.HttpMessageHandlerFactory = handler =>
    {
        ((HttpClientHandler)handler).ServerCertificateCustomValidationCallback =
            (_, certificate, _, _) => certificate?.GetCertHashString(HashAlgorithmName.SHA256) == thumbprint;
        return new AsksForHttp2(handler, policy);
    };
    o.WebSocketConfiguration = socket =>
    {
        socket.HttpVersion = HttpVersion.Version20;
        socket.HttpVersionPolicy = policy;
    };
}).Build();

Console.WriteLine(JsonSerializer.Serialize(await Scenario.Play(hub), JsonSerializerOptions.Web));
return 0;
