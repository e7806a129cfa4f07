using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;

namespace Hubwire.Matrix;

/// <summary>An expectation that was not met.</summary>
public sealed class UnmetException(string message) : Exception(message);

/// <summary>One scenario in one mode: makes its clients, checks and remembers what they saw, ends them.</summary>
public sealed class Case(Mode mode, Nodes nodes)
{
    /// <summary>How long a case may take; no scenario waits longer than a few seconds.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    static readonly HttpClient http = new();
    static int names;

#if NET11_0_OR_GREATER
    static readonly Newtonsoft.Json.JsonSerializerSettings camelCase = new() { ContractResolver = new Newtonsoft.Json.Serialization.CamelCasePropertyNamesContractResolver() };
#endif

    readonly ConcurrentStack<IAsyncDisposable> ending = new();
    readonly ConcurrentQueue<string> saw = new();

    public Mode Mode => mode;
    public Nodes Nodes => nodes;

    public static async Task<Result> Play(Scenario scenario, Mode mode, Nodes nodes)
    {
        var t = new Case(mode, nodes);
        var watch = Stopwatch.StartNew();
        string? error = null;
        try { await scenario.Play(t).WaitAsync(Limit); }
        catch (UnmetException e) { error = e.Message; }
        catch (Exception e) { error = e.ToString(); }
        try { await t.End().WaitAsync(Limit); }
        catch (Exception e) { error ??= $"at the end: {e}"; }
        return new(scenario.Name, mode.Transport, mode.Protocol, error is null, t.saw.ToArray(), error, watch.ElapsedMilliseconds);
    }

    async Task End()
    {
        while (ending.TryPop(out var one)) await one.DisposeAsync();
    }

    /// <summary>Ends something with the case, the last one first.</summary>
    public T Own<T>(T one) where T : IAsyncDisposable
    {
        ending.Push(one);
        return one;
    }

    /// <summary>A client that has not been started.</summary>
    public Client Client(Setup? setup = null) => Own(new Client(mode, nodes, setup ?? new()));

    /// <summary>A client that has been started.</summary>
    public async Task<Client> Connect(Setup? setup = null)
    {
        var client = Client(setup);
        await client.Hub.StartAsync();
        return client;
    }

    /// <summary>A name for a group or user that no other case uses.</summary>
    public string Name(string prefix) => $"{prefix}-{Interlocked.Increment(ref names)}";

    /// <summary>Remembers what was seen, without a check.</summary>
    public void Saw(string text) => saw.Enqueue(Show.Short(text));

    /// <summary>Fails unless both are written alike as JSON.</summary>
    public void Equal<T>(T want, T got)
    {
        var (wanted, gotten) = (Write(want), Write(got));
        Saw(gotten);
        if (wanted == gotten) return;
        var same = wanted.Zip(gotten).TakeWhile(pair => pair.First == pair.Second).Count();
        throw new UnmetException($"got {Show.Around(gotten, same)}, want {Show.Around(wanted, same)}");
    }

    /// <summary>A value as JSON, by the client's own writer: Newtonsoft.Json sends a decimal 0 as 0.0, changes the case of dictionary keys and reads an object into types of its own.</summary>
    string Write<T>(T value)
    {
#if NET11_0_OR_GREATER
        if (mode.Newtonsoft) return Newtonsoft.Json.JsonConvert.SerializeObject(value, camelCase);
#endif
        return Show.Value(value);
    }

    /// <summary>Fails unless it holds.</summary>
    public void True(bool holds, string what)
    {
        Saw($"{what}: {(holds ? "yes" : "no")}");
        if (!holds) throw new UnmetException($"not so: {what}");
    }

    /// <summary>Fails unless the task ends with an error of exactly this type and text, "Type: text".</summary>
    public async Task Fails(string want, Task task) => Equal(want, await Ends(task));

    /// <summary>Fails unless the task ends with an error that begins so; what follows are the words of a library.</summary>
    public async Task FailsBeginning(string want, Task task)
    {
        var got = await Ends(task);
        if (!got.StartsWith(want, StringComparison.Ordinal)) { Equal(want, got); }
        Saw(want);
    }

    /// <summary>The error of a task, "Type: text", or "no error".</summary>
    public static async Task<string> Ends(Task task)
    {
        try { await task; }
        catch (Exception e) { return Show.Error(e); }
        return "no error";
    }

    /// <summary>POST to a route of the node; the status and the body.</summary>
    public async Task<string> Post(string path, object? body = null)
    {
        using var answer = await http.PostAsync(new Uri(nodes.Plain, path), body is null ? null : JsonContent.Create(body));
        return $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}";
    }

    /// <summary>What OnDisconnectedAsync of a connection was given; waits until it has run.</summary>
    public async Task<string> Ended(string id, Uri? node = null)
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromSeconds(60); await Task.Delay(20))
        {
            var all = await http.GetFromJsonAsync<Dictionary<string, string>>(new Uri(node ?? nodes.Plain, "/api/ended"));
            if (all!.TryGetValue(id, out var how)) return how;
        }
        return "not called";
    }
}
