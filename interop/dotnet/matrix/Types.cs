namespace Hubwire.Matrix;

public enum Color { Red, Green, Blue }

public sealed record Post(int Id, string Title, DateTime PublishedAt);

/// <summary>The hub's Sample, as a record: one property of each kind that an argument commonly has.</summary>
public sealed record Sample
{
    public bool Bool { get; init; }
    public byte Byte { get; init; }
    public int Int { get; init; }
    public long Long { get; init; }
    public float Float { get; init; }
    public double Double { get; init; }
    public decimal Decimal { get; init; }
    public string? Text { get; init; }
    public string? Absent { get; init; }
    public Guid Guid { get; init; }
    public DateTime DateTime { get; init; }
    public DateTimeOffset DateTimeOffset { get; init; }
    public TimeSpan TimeSpan { get; init; }
    public byte[]? Bytes { get; init; }
    public Color Color { get; init; }
    public int? MaybeInt { get; init; }
    public List<int>? List { get; init; }
    public Dictionary<string, string>? Map { get; init; }
    public Sample? Nested { get; init; }

    /// <summary>The same with its moments in UTC: MessagePack has no others, and JSON keeps their kind.</summary>
    public Sample InUtc() => this with { DateTime = DateTime.SpecifyKind(DateTime, DateTimeKind.Utc), Nested = Nested?.InUtc() };

    /// <summary>What the hub's MakeSample returns.</summary>
    public static Sample Fixed() => new()
    {
        Bool = true, Byte = 255, Int = -7, Long = 9007199254740993, Float = 1.5f, Double = 0.1, Decimal = 12.50m,
        Text = "grüße \"<&>' \U0001F680", Guid = new("00010203-0405-0607-0809-0a0b0c0d0e0f"),
        DateTime = new DateTime(2026, 1, 2, 3, 4, 5, 678, DateTimeKind.Utc),
        DateTimeOffset = new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.FromHours(2)),
        TimeSpan = new TimeSpan(1, 2, 3, 4, 5), Bytes = [0, 1, 127, 128, 255], Color = Color.Blue, List = [1, 2, 3],
        Map = new() { ["a"] = "b", ["Key"] = "Value" }, Nested = new Sample { Int = 1, Text = "inner" },
    };
}

/// <summary>Some of Sample's properties, as a positional record.</summary>
public sealed record Part(int Int, string? Text, Guid Guid, Color Color, int? MaybeInt, List<int>? List);

/// <summary>The hub's Rare: kinds that are rare as arguments.</summary>
public sealed record Rare
{
    public sbyte SByte { get; init; }
    public short Short { get; init; }
    public ushort UShort { get; init; }
    public uint UInt { get; init; }
    public ulong ULong { get; init; }
    public char Char { get; init; }
    public DateOnly DateOnly { get; init; }
    public TimeOnly TimeOnly { get; init; }
    public DateTime Unspecified { get; init; }
    public DateTime Old { get; init; }
    public Uri? Uri { get; init; }
    public Version? Version { get; init; }
    public KeyValuePair<string, int> Pair { get; init; }
    public (int, string) ValueTuple { get; init; }
    public Tuple<int, string>? Tuple { get; init; }
    public Dictionary<int, Color>? Colors { get; init; }
    public HashSet<int>? Set { get; init; }
    public object? Any { get; init; }
    public string URLValue { get; init; } = "url";
    public string ID { get; init; } = "id";

    /// <summary>What the hub's MakeRare returns in MessagePack; in JSON a ValueTuple has no members, and Unspecified no zone.</summary>
    public static Rare Fixed(bool messagePack) => new()
    {
        SByte = -128, Short = -300, UShort = 65535, UInt = uint.MaxValue, ULong = ulong.MaxValue, Char = 'x',
        DateOnly = new(2026, 1, 2), TimeOnly = new(3, 4, 5, 678),
        Unspecified = new(2026, 1, 2, 3, 4, 5, messagePack ? DateTimeKind.Utc : DateTimeKind.Unspecified),
        Old = new(1, 1, 1, 0, 0, 0, DateTimeKind.Utc), Uri = new("http://a.test/ü?x=1"), Version = new(1, 2, 3), Pair = new("k", 1),
        ValueTuple = messagePack ? (1, "a") : default, Tuple = new(1, "a"), Colors = new() { [1] = Color.Green }, Set = [3, 1],
        Any = new object?[] { 1, "a", null, 2.5 },
    };
}
