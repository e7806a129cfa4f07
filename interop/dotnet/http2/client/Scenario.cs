using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Http2;

/// <summary>What the client saw of each feature.</summary>
public sealed record Saw(string Protocol, string Invoke, string[] Stream, string Upload, string Asked, string Pushed, string Large);

/// <summary>One of each kind of call that a connection can carry.</summary>
public static class Scenario
{
    /// <summary>Far more than it needs: only what would never end reaches it.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static async Task<Saw> Play(HubConnection hub)
    {
        var pushed = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        hub.On<string>("Push", text => pushed.TrySetResult(text));
        hub.On("Question", (string text) => text + " answered");
        await hub.StartAsync().WaitAsync(Limit);

        var protocol = await hub.InvokeAsync<string>("Protocol").WaitAsync(Limit);
        var invoke = await hub.InvokeAsync<string>("Echo", "grüße").WaitAsync(Limit);
        var stream = await Items(hub.StreamAsync<string>("Letters", 3)).WaitAsync(Limit);
        var upload = await hub.InvokeAsync<string>("Concat", Words()).WaitAsync(Limit);
        var asked = await hub.InvokeAsync<string>("Ask", "asked").WaitAsync(Limit);
        await hub.SendAsync("PushMe", "pushed").WaitAsync(Limit);
        var push = await pushed.Task.WaitAsync(Limit);
        // More than a window of HTTP/2, in both directions: it has to be opened again.
        var large = await hub.InvokeAsync<string>("Echo", new string('x', 300_000)).WaitAsync(Limit);
        await hub.StopAsync().WaitAsync(Limit);
        return new(protocol, invoke, stream, upload, asked, push, $"{large.Length} {large.Trim('x').Length}");
    }

    static async IAsyncEnumerable<string> Words()
    {
        foreach (var word in new[] { "a", "b", "c" })
        {
            await Task.Yield();
            yield return word;
        }
    }

    static async Task<string[]> Items(IAsyncEnumerable<string> stream)
    {
        var list = new List<string>();
        await foreach (var item in stream) list.Add(item);
        return [.. list];
    }
}
