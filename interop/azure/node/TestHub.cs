using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Connections.Features;
using Microsoft.AspNetCore.SignalR;

namespace Interop;

public enum Color { Red, Green, Blue }

/// <summary>One property of each kind that a hub argument commonly has.</summary>
public sealed class Sample
{
    public bool Bool { get; set; }
    public byte Byte { get; set; }
    public int Int { get; set; }
    public long Long { get; set; }
    public float Float { get; set; }
    public double Double { get; set; }
    public decimal Decimal { get; set; }
    public string? Text { get; set; }
    public string? Absent { get; set; }
    public Guid Guid { get; set; }
    public DateTime DateTime { get; set; }
    public DateTimeOffset DateTimeOffset { get; set; }
    public TimeSpan TimeSpan { get; set; }
    public byte[]? Bytes { get; set; }
    public Color Color { get; set; }
    public int? MaybeInt { get; set; }
    public List<int>? List { get; set; }
    public Dictionary<string, string>? Map { get; set; }
    public Sample? Nested { get; set; }

    public static Sample Fixed() => new()
    {
        Bool = true, Byte = 255, Int = -7, Long = 9007199254740993, Float = 1.5f, Double = 0.1, Decimal = 12.50m,
        Text = "grüße \"<&>' 🚀", Guid = new("00010203-0405-0607-0809-0a0b0c0d0e0f"),
        DateTime = new DateTime(2026, 1, 2, 3, 4, 5, 678, DateTimeKind.Utc),
        DateTimeOffset = new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.FromHours(2)),
        TimeSpan = new TimeSpan(1, 2, 3, 4, 5), Bytes = [0, 1, 127, 128, 255], Color = Color.Blue, List = [1, 2, 3],
        Map = new() { ["a"] = "b", ["Key"] = "Value" }, Nested = new Sample { Int = 1, Text = "inner" },
    };
}

/// <summary>Kinds that are rare as hub arguments.</summary>
public sealed class Rare
{
    public sbyte SByte { get; set; }
    public short Short { get; set; }
    public ushort UShort { get; set; }
    public uint UInt { get; set; }
    public ulong ULong { get; set; }
    public char Char { get; set; }
    public DateOnly DateOnly { get; set; }
    public TimeOnly TimeOnly { get; set; }
    public DateTime Unspecified { get; set; }
    public DateTime Old { get; set; }
    public Uri? Uri { get; set; }
    public Version? Version { get; set; }
    public KeyValuePair<string, int> Pair { get; set; }
    public (int, string) ValueTuple { get; set; }
    public Tuple<int, string>? Tuple { get; set; }
    public Dictionary<int, Color>? Colors { get; set; }
    public HashSet<int>? Set { get; set; }
    public object? Any { get; set; }
    public string URLValue { get; set; } = "url";
    public string ID { get; set; } = "id";
    public int Field = 1;

    public static Rare Fixed() => new()
    {
        SByte = -128, Short = -300, UShort = 65535, UInt = uint.MaxValue, ULong = ulong.MaxValue, Char = 'x',
        DateOnly = new(2026, 1, 2), TimeOnly = new(3, 4, 5, 678), Unspecified = new(2026, 1, 2, 3, 4, 5),
        Old = new(1, 1, 1, 0, 0, 0, DateTimeKind.Utc), Uri = new("http://a.test/ü?x=1"), Version = new(1, 2, 3), Pair = new("k", 1),
        ValueTuple = (1, "a"), Tuple = new(1, "a"), Colors = new() { [1] = Color.Green }, Set = [3, 1], Any = new List<object?> { 1, "a", null, 2.5 },
    };
}

/// <summary>Fails to serialize, in both protocols. (A list that holds itself would end the whole process in MessagePack.)</summary>
public sealed class Unserializable
{
    public int Number { get => throw new NotSupportedException("this getter fails"); set { } }
}

public sealed record Post(int Id, string Title, DateTime PublishedAt);

public sealed partial class TestHub : Hub
{
    public static readonly ConcurrentDictionary<string, string> Ended = new();

    HttpRequest Request => Context.GetHttpContext()!.Request;

    // The query may ask for trouble: ?connected=throw
    public override async Task OnConnectedAsync()
    {
        switch (Query("connected"))
        {
            case "throw": throw new InvalidOperationException("thrown in OnConnectedAsync");
            case "abort": Context.Abort(); break;
            case "ask": await Clients.Caller.InvokeAsync<string>("Ask", "question", CancellationToken.None); break;
            case "send": await Clients.Caller.SendAsync("M", "sent in OnConnectedAsync"); break;
#if NET11_0_OR_GREATER
            case "slow": await Task.Delay(500); break;
            case "anyone": Refresh.AcceptAnyone(Context); break;
#endif
        }
    }

    public override Task OnDisconnectedAsync(Exception? error)
    {
        Ended[Context.ConnectionId] = error is null ? "null" : $"{error.GetType().Name}: {error.Message}";
        return Task.CompletedTask;
    }

    // Calls and their results
    public string Echo(string text) => text;
    public Sample EchoSample(Sample sample) => sample;
    public Sample MakeSample() => Sample.Fixed();
    public int Add(int a, int b) => a + b;
    public long AddLong(long a, long b) => a + b;
    public byte EchoByte(byte value) => value;
    public double EchoDouble(double value) => value;
    public Color EchoColor(Color color) => color;
    public DateTime EchoDateTime(DateTime value) => value;
    public byte[] EchoBytes(byte[] bytes) => bytes;
    public Rare MakeRare() => Rare.Fixed();
    public Rare EchoRare(Rare rare) => rare;
    public string Describe(object? value) => value is null ? "null" : $"{value.GetType()}: {value}";
    public string Text(int length) => new('x', length);
    public void Nothing() { }
    public string? NullResult() => null;
    public async Task<string> Slow(string text, int milliseconds) { await Task.Delay(milliseconds); return text; }
    [HubMethodName("renamed")] public string HasAnotherName() => "renamed";

    // Errors
    public void Throw(string message) => throw new InvalidOperationException(message);
    public void ThrowHubException(string message) => throw new HubException(message);
    public void Abort() => Context.Abort();
    public Unserializable Unserializable() => new();
    [Authorize] public string OnlyUsers() => "for users";

    // Sends
    public Task SendAll(string method, string text) => Clients.All.SendAsync(method, text);
    public Task SendAllExcept(string[] ids, string method, string text) => Clients.AllExcept(ids).SendAsync(method, text);
    public async Task SendCallerOften(int count, string method, string text)
    {
        for (var i = 0; i < count; i++) _ = Clients.Caller.SendAsync(method, text);
        await Clients.Caller.SendAsync(method, "last");
    }
    public Task SendCaller(string method, string text) => Clients.Caller.SendAsync(method, text);
    public Task SendOthers(string method, string text) => Clients.Others.SendAsync(method, text);
    public Task SendClient(string id, string method, string text) => Clients.Client(id).SendAsync(method, text);
    public Task SendClients(string[] ids, string method, string text) => Clients.Clients(ids).SendAsync(method, text);
    public Task SendGroup(string group, string method, string text) => Clients.Group(group).SendAsync(method, text);
    public Task SendGroups(string[] groups, string method, string text) => Clients.Groups(groups).SendAsync(method, text);
    public Task SendGroupExcept(string group, string[] ids, string method, string text) => Clients.GroupExcept(group, ids).SendAsync(method, text);
    public Task SendOthersInGroup(string group, string method, string text) => Clients.OthersInGroup(group).SendAsync(method, text);
    public Task SendUser(string user, string method, string text) => Clients.User(user).SendAsync(method, text);
    public Task SendUsers(string[] users, string method, string text) => Clients.Users(users).SendAsync(method, text);
    public Task SendSampleToAll(string method) => Clients.All.SendAsync(method, Sample.Fixed(), 42, null);

    // Groups; the connection may be on another node
    public Task Join(string group) => Groups.AddToGroupAsync(Context.ConnectionId, group);
    public Task Leave(string group) => Groups.RemoveFromGroupAsync(Context.ConnectionId, group);
    public Task AddToGroup(string id, string group) => Groups.AddToGroupAsync(id, group);
    public Task RemoveFromGroup(string id, string group) => Groups.RemoveFromGroupAsync(id, group);

    // Client results
    public Task<string> Ask(string id, string method, string question) => Clients.Client(id).InvokeAsync<string>(method, question, CancellationToken.None);
    public Task<int> AskInt(string id, string method) => Clients.Client(id).InvokeAsync<int>(method, CancellationToken.None);

    // Streams to the client
    public async IAsyncEnumerable<int> Counter(int count, int milliseconds, [EnumeratorCancellation] CancellationToken cancel)
    {
        for (var i = 0; i < count; i++)
        {
            if (milliseconds > 0) await Task.Delay(milliseconds, cancel);
            yield return i;
        }
    }
    public async IAsyncEnumerable<int> CounterThenThrow(int count, string message)
    {
        for (var i = 0; i < count; i++) { await Task.Yield(); yield return i; }
        throw new InvalidOperationException(message);
    }
    public ChannelReader<string> Letters(int count)
    {
        var channel = Channel.CreateUnbounded<string>();
        for (var i = 0; i < count; i++) channel.Writer.TryWrite(((char)('a' + i % 26)).ToString());
        channel.Writer.Complete();
        return channel.Reader;
    }

    public ChannelReader<string>? NullStream() => null;
    public IAsyncEnumerable<int> ThrowInsteadOfStream(string message) => throw new HubException(message);

    // Streams from the client
    public async Task<string> ReadOne(ChannelReader<int> items, int milliseconds)
    {
        var first = await items.ReadAsync();
        await Task.Delay(milliseconds);
        return $"read {first}";
    }
    public async Task<string> Failure(ChannelReader<int> items)
    {
        try { return $"{(await items.ReadAllAsync().ToListAsync()).Count} items"; }
        catch (Exception e) { return $"{e.GetType().Name}: {e.Message}"; }
    }
    public async Task<string> Concat(ChannelReader<string> items) => string.Concat(await items.ReadAllAsync().ToListAsync());
    public async Task<int> Sum(IAsyncEnumerable<int> items) => (await items.ToListAsync()).Sum();
    public async Task<string> Zip(IAsyncEnumerable<string> left, string separator, IAsyncEnumerable<string> right)
    {
        var l = await left.ToListAsync();
        var r = await right.ToListAsync();
        return string.Join(",", l.Zip(r, (a, b) => a + separator + b));
    }
    public async IAsyncEnumerable<string> EchoStream(IAsyncEnumerable<string> items)
    {
        await foreach (var item in items) yield return item;
    }

    // The connection
    public string ConnectionId() => Context.ConnectionId;
    public int ProcessId() => Environment.ProcessId; // the only thing that the reference node has not
    public string? UserIdentifier() => Context.UserIdentifier;
    public string Transport() => Context.Features.Get<IHttpTransportFeature>()!.TransportType.ToString();
    public string? Header(string name) => Request.Headers[name];
    public string? Query(string name) => Request.Query[name];
    public string? Cookie(string name) => Request.Cookies[name];

    // What the load generator calls
    public Task Broadcast(string text) => Clients.All.SendAsync("receive", text);
    public Task JoinGroup(string group) => Join(group);
    public Task SendToGroup(string group, string text) => Clients.Group(group).SendAsync("receive", text);
}

/// <summary>Echoes bytes with no hub protocol, as a raw connection handler.</summary>
public sealed class EchoConnection : ConnectionHandler
{
    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        while (true)
        {
            var read = await connection.Transport.Input.ReadAsync();
            foreach (var segment in read.Buffer) await connection.Transport.Output.WriteAsync(segment);
            connection.Transport.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return;
        }
    }
}
