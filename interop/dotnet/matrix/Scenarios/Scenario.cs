namespace Hubwire.Matrix;

/// <summary>Something that the client's user does, and its expected outcome; played once in each mode.</summary>
public sealed record Scenario(string Name, Func<Case, Task> Play)
{
    /// <summary>The modes in which the scenario makes sense.</summary>
    public Func<Mode, bool> In { get; init; } = static _ => true;
}

/// <summary>All scenarios, by topic.</summary>
public static class Scenarios
{
    /// <summary>What is played in each mode before all others, and not reported then.</summary>
    public static Scenario First => Calls.All[0];

    public static IEnumerable<Scenario> All =>
    [
        .. Calls.All, .. Handlers.All, .. Receivers.All, .. Streams.All, .. Uploads.All, .. ClientResults.All, .. Errors.All,
        .. Values.All, .. Requests.All, .. Connections.All, .. Handshakes.All, .. Reconnects.All, .. Timers.All,
    ];
}

/// <summary>What one line of output says.</summary>
public sealed record Result(string Scenario, string Transport, string Protocol, bool Ok, IReadOnlyList<string> Saw, string? Error, long Ms);
