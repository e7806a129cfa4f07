using Microsoft.AspNetCore.Http.Connections;

namespace Hubwire.Matrix;

/// <summary>A transport and a protocol; over WebSockets also without negotiation.</summary>
public sealed record Mode(HttpTransportType Type, string Protocol, bool SkipNegotiation = false)
{
    public string Transport => SkipNegotiation ? $"{Type} without negotiation" : $"{Type}";
    public bool MessagePack => Protocol == "messagepack";
    public bool Json => !MessagePack;
    public bool Newtonsoft => Protocol == "newtonsoft";

    /// <summary>Every combination there is: events are text, so MessagePack does not go over Server-Sent Events.</summary>
    public static readonly Mode[] All =
    [
        new(HttpTransportType.WebSockets, "json"),
        new(HttpTransportType.WebSockets, "messagepack"),
        new(HttpTransportType.WebSockets, "json", SkipNegotiation: true),
        new(HttpTransportType.WebSockets, "messagepack", SkipNegotiation: true),
        new(HttpTransportType.ServerSentEvents, "json"),
        new(HttpTransportType.LongPolling, "json"),
        new(HttpTransportType.LongPolling, "messagepack"),
#if NET11_0_OR_GREATER
        // Newtonsoft.Json in the place of System.Text.Json: on the wire it is JSON, too.
        new(HttpTransportType.WebSockets, "newtonsoft"),
        new(HttpTransportType.ServerSentEvents, "newtonsoft"),
        new(HttpTransportType.LongPolling, "newtonsoft"),
#endif
    ];

    public static bool Negotiated(Mode m) => !m.SkipNegotiation;
    public static bool WebSockets(Mode m) => m.Type == HttpTransportType.WebSockets;
    public static bool OneForEachProtocol(Mode m) => WebSockets(m) && Negotiated(m);
    public static bool Once(Mode m) => OneForEachProtocol(m) && m.Protocol == "json";
}
