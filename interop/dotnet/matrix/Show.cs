using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Hubwire.Matrix;

/// <summary>Values as text, to compare them and to print them.</summary>
public static class Show
{
    /// <summary>Exact: fields of tuples, NaN and the scale of a decimal too.</summary>
    public static readonly JsonSerializerOptions Compact = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        IncludeFields = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    };

    public static string Value(object? value) => value switch
    {
        Exception e => Error(e),
        _ => JsonSerializer.Serialize(value, Compact),
    };

    /// <summary>An error as its user sees it.</summary>
    public static string Error(Exception e) => $"{e.GetType().Name}: {e.Message}";

    /// <summary>At most 300 characters, and how many there were.</summary>
    public static string Short(string text) => text.Length <= 300 ? text : $"{text[..200]}... ({text.Length} characters)";

    /// <summary>At most 300 characters, with those around a place where something differs.</summary>
    public static string Around(string text, int place)
    {
        if (text.Length <= 300) return text;
        var begin = Math.Clamp(place - 100, 0, text.Length - 300);
        return $"{(begin > 0 ? "..." : "")}{text.Substring(begin, 300)}{(begin + 300 < text.Length ? "..." : "")} ({text.Length} characters)";
    }
}
