using System.Text.Json;
using System.Text.Json.Serialization;

namespace Hubwire.Driver;

/// <summary>A line of standard input.</summary>
public sealed record Command(
    int Id, [property: JsonPropertyName("command")] string Name, string Client, string? Url, string? Protocol, string? User, string? Method, JsonElement[]? Args)
{
    /// <summary>A text or a list of texts, as the hub's methods take them.</summary>
    public static object? Plain(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Array => value.Deserialize<string[]>(),
        _ => throw new ArgumentException($"an argument must be text or a list, not {value.ValueKind}"),
    };
}
