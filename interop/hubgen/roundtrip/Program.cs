// Calls every method of Types with both protocols, and checks what comes back.
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Types.Client;

using var http = new HttpClient();
foreach (var protocol in new[] { "json", "messagepack" })
{
    var builder = new HubConnectionBuilder().WithUrl(args[0] + "/types");
    builder.WithAutomaticReconnect(new[] { TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero });
    if (protocol == "messagepack") builder.AddMessagePackProtocol();
    await using var connection = builder.Build();
    var told = new TaskCompletionSource<Everything>(TaskCreationOptions.RunContinuationsAsynchronously);
    using var onTold = connection.OnTold(e => { told.TrySetResult(e); });
    using var onAsked = connection.OnAsked((Everything e, Color color, Guid? none) =>
        color == Color.darkblue ? (none is null ? e : throw new Exception("a Guid that is none")) : throw new Exception($"color {color}"));
    var joins = 0;
    var rejoined = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    using var rejoining = await connection.StartAndRejoinAsync(async () =>
    {
        await connection.JoinAsync();
        if (++joins == 2) rejoined.TrySetResult();
    });

    var sample = await connection.SampleAsync();
    Check("Id", sample.Id, 42);
    Check("At", sample.At.ToUniversalTime(), new DateTime(2026, 11, 26, 15, 30, 1, DateTimeKind.Utc).AddTicks(1234567));
    Check("MaybeAt", sample.MaybeAt?.ToUniversalTime(), sample.At.ToUniversalTime());
    Check("Local", sample.Local, sample.At.ToUniversalTime());
    Check("Offset", sample.Offset, new DateTimeOffset(sample.At.ToUniversalTime()).ToOffset(TimeSpan.FromMinutes(90)));
    Check("Offset's zone", sample.Offset.Offset, TimeSpan.FromMinutes(90));
    Check("Key", sample.Key, Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"));
    Check("MaybeKey", sample.MaybeKey, sample.Key);
    Check("Price", sample.Price, -12345678901234567890.50m);
    Check("Wait", sample.Wait, new TimeSpan(1, 2, 0, 0, 3));
    Check("Day", sample.Day, new DateOnly(2026, 11, 26));
    Check("Clock", sample.Clock, new TimeOnly(15, 30, 1).Add(TimeSpan.FromTicks(1234567)));
    Check("Letter", sample.Letter, 'ß');
    Check("Color", (int)sample.Color, 1);
    Check("Colors", string.Join(",", sample.Colors.Select(c => (int)c)), "0,1,2,9");
    Check("numbers", (sample.Small, sample.Big, sample.Huge, sample.Half, sample.Whole, sample.Yes), (sbyte.MinValue, long.MinValue, ulong.MaxValue, 0.5f, 1e300, true));
    Check("Data", Convert.ToHexString(sample.Data), "00FF");
    Check("lists", (sample.Tags.Count, sample.Counts["x"], sample.ByNumber[-1], sample.Base64), (2, 1, "y", "b"));
    Check("Odd", JsonSerializer.Serialize(sample.Odd), "{\"with space\":1,\"class\":\"c\",\"own\":\"o\"}");
    Check("what is left out", (sample.Left, sample.LeftText ?? "", sample.LeftOdd, sample.None), (0, "", null, null));
    Check("what is not", (sample.Parent!.Left, sample.Parent.LeftText, sample.Parent.LeftOdd is null), (5, "here", false));
    Check("Quoted", sample.Quoted, 1L << 60);
    Check("Address", sample.Address, "127.0.0.1");

    Check("Check", await connection.CheckAsync(sample), "");
    Check("Ask", await connection.AskAsync(), "");
    Check("Told", JsonSerializer.Serialize(await told.Task), JsonSerializer.Serialize(sample));
    var items = 0;
    await foreach (var item in connection.StreamAsync())
    {
        Check("Stream", JsonSerializer.Serialize(item), JsonSerializer.Serialize(sample));
        items++;
    }
    Check("items", items, 2);
    Check("Upload", await connection.UploadAsync(Values(sample)), 3);
    var row = await connection.TurnAsync(new Row { Number = 1, Text = "a" });
    Check("Turn", (row.Number, row.Text), (2, "a"));

    // A new connection is in no group until the client has joined again.
    onTold.Dispose();
    onAsked.Dispose();
    var client = new Client();
    var registered = connection.Register(client);
    await http.PostAsync(args[0] + "/drop", null);
    await rejoined.Task;
    await connection.TellGroupNoWaitAsync();
    Check("told in the group", JsonSerializer.Serialize(await client.Came.Task), JsonSerializer.Serialize(sample));
    Check("Ask of a client", await connection.AskAsync(), "");
    registered.Dispose();
    await NobodyAnswers("a client that is not registered");
    using (connection.OnceAsked((value, color, none) => value))
    {
        Check("Ask, once", await connection.AskAsync(), "");
        await NobodyAnswers("a handler that has answered once");
    }
    connection.OnceAsked((value, color, none) => Task.FromResult(value)).Dispose();
    await NobodyAnswers("a handler that was disposed");
    int first = 0, all = 0;
    var both = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    using var once = connection.OnceTold(value => { first++; });
    using var every = connection.OnTold(value => { if (++all == 2) both.TrySetResult(); });
    await connection.TellGroupAsync();
    await connection.TellGroupAsync();
    await both.Task;
    Check("told, once", first, 1);
    Check("joins", joins, 2);
    Console.WriteLine("ok " + protocol);

    async Task NobodyAnswers(string who)
    {
        try
        {
            await connection.AskAsync();
            Console.WriteLine($"{protocol}: {who} has answered");
        }
        catch (HubException)
        {
        }
    }

    void Check<T>(string what, T got, T want)
    {
        if (!EqualityComparer<T>.Default.Equals(got, want)) Console.WriteLine($"{protocol}: {what} is {got}, want {want}");
    }
}

static async IAsyncEnumerable<Everything> Values(Everything value, [EnumeratorCancellation] CancellationToken cancel = default)
{
    for (var i = 0; i < 3; i++)
    {
        await Task.Yield();
        yield return value;
    }
}

sealed class Client : ITypesHubClient
{
    public TaskCompletionSource<Everything> Came { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Told(Everything value)
    {
        Came.TrySetResult(value);
        return Task.CompletedTask;
    }

    public Task<Everything> Asked(Everything value, Color color, Guid? none) => Task.FromResult(value);
}
