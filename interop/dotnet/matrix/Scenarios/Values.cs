using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>Objects both ways: records, enums, dates, numbers, bytes, nullable and nested values, dictionaries.</summary>
public static class Values
{
    const string oddKeys = "dictionaries with odd keys";

    /// <summary>Samples at the limits of their types, that both protocols can carry.</summary>
    static readonly (string Name, Sample Sample)[] samples =
    [
        ("the fixed one", Sample.Fixed()),
        ("zero values", new Sample()),
        ("largest numbers", new Sample { Byte = 255, Int = int.MaxValue, Long = long.MaxValue, Float = float.MaxValue, Double = double.MaxValue, Decimal = decimal.MaxValue, MaybeInt = int.MaxValue, TimeSpan = TimeSpan.MaxValue, DateTime = new DateTime(DateTime.MaxValue.Ticks, DateTimeKind.Utc), DateTimeOffset = DateTimeOffset.MaxValue }),
        ("smallest numbers", new Sample { Int = int.MinValue, Long = long.MinValue, Float = float.MinValue, Double = double.MinValue, Decimal = decimal.MinValue, MaybeInt = int.MinValue, TimeSpan = TimeSpan.MinValue }),
        ("tiny numbers", new Sample { Float = float.Epsilon, Double = double.Epsilon, Decimal = 0.0000000000000000000000000001m, MaybeInt = 0, TimeSpan = new(1), DateTime = new(638_000_000_000_000_001, DateTimeKind.Utc), DateTimeOffset = new(638_000_000_000_000_001, TimeSpan.FromMinutes(-570)) }),
        ("decimals keep their zeros", new Sample { Decimal = -1.500m }),
        ("negative time", new Sample { TimeSpan = -new TimeSpan(40, 1, 2, 3), DateTime = new DateTime(1969, 12, 31, 23, 59, 59, 999, DateTimeKind.Utc), DateTimeOffset = new(1600, 1, 1, 0, 0, 0, TimeSpan.FromHours(14)) }),
        ("empty things", new Sample { Text = "", Bytes = [], List = [], Map = [], Guid = Guid.AllBitsSet }),
        (oddKeys, new Sample { Map = new() { [""] = "", ["ü.\"'\n"] = "\0", ["$type"] = "x", ["Key"] = "a", ["key"] = "b" } }),
        ("all bytes", new Sample { Bytes = [.. Enumerable.Range(0, 256).Select(i => (byte)i)], List = [.. Enumerable.Range(-300, 600)] }),
        ("nested five deep", new Sample { Nested = new Sample { Nested = new Sample { Nested = new Sample { Nested = Sample.Fixed() } } } }),
    ];

    public static readonly Scenario[] All =
    [
        new("a result has all members of the object", async t =>
        {
            t.Equal(Sample.Fixed().InUtc(), (await (await t.Connect()).Hub.InvokeAsync<Sample>("MakeSample")).InUtc());
        }),
        .. samples.Select(s => new Scenario($"a sample comes back as it went: {s.Name}", async t =>
        {
            t.Equal(s.Sample.InUtc(), await (await t.Connect()).Hub.InvokeAsync<Sample>("EchoSample", s.Sample.InUtc()));
        }) { In = m => !m.Newtonsoft || s.Name != oddKeys }), // Newtonsoft.Json sends Key as key

        new("null instead of an object", async t =>
        {
            t.Equal(null, await (await t.Connect()).Hub.InvokeAsync<Sample?>("EchoSample", null));
        }),
        new("a positional record, an anonymous object and a dictionary stand for the hub's class", async t =>
        {
            var hub = (await t.Connect()).Hub;
            var guid = new Guid("00010203-0405-0607-0809-0a0b0c0d0e0f");
            var part = new Part(7, "part", guid, Color.Green, 3, [1, 2]);
            t.Equal(part, await hub.InvokeAsync<Part>("EchoSample", part));
            t.Equal(part with { List = null }, await hub.InvokeAsync<Part>("EchoSample", new { Int = 7, Text = "part", Guid = guid, Color = Color.Green, MaybeInt = 3, Unknown = "ignored" }));
            t.Equal(new Part(7, "part", Guid.Empty, Color.Red, null, [1]), await hub.InvokeAsync<Part>("EchoSample", new Dictionary<string, object> { [t.Mode.Json ? "int" : "Int"] = 7, [t.Mode.Json ? "text" : "Text"] = "part", [t.Mode.Json ? "list" : "List"] = new[] { 1 } }));
        }),
        new("enums come back as they went", async t =>
        {
            var hub = (await t.Connect()).Hub;
            foreach (var color in Enum.GetValues<Color>()) t.Equal(color, await hub.InvokeAsync<Color>("EchoColor", color));
            t.Equal((Color)77, await hub.InvokeAsync<Color>("EchoColor", (Color)77)); // no member of the enum
        }),
        new("moments: in JSON they keep their kind, in MessagePack they are UTC", async t =>
        {
            var hub = (await t.Connect()).Hub;
            foreach (var kind in new[] { DateTimeKind.Utc, DateTimeKind.Unspecified })
            {
                var moment = new DateTime(2026, 1, 2, 3, 4, 5, 678, 9, kind);
                var got = await hub.InvokeAsync<DateTime>("EchoDateTime", moment);
                t.Equal(moment.Ticks, got.Ticks);
                t.Equal(t.Mode.MessagePack ? DateTimeKind.Utc : kind, got.Kind);
            }
            foreach (var moment in new[] { DateTime.UnixEpoch, DateTime.UnixEpoch.AddTicks(-1), new DateTime(2514, 5, 30, 1, 53, 4, DateTimeKind.Utc) })
            {
                t.Equal(moment, await hub.InvokeAsync<DateTime>("EchoDateTime", moment));
            }
        }),
        new("bytes come back as they went", async t =>
        {
            var hub = (await t.Connect()).Hub;
            foreach (var length in new[] { 0, 1, 255, 256, 20000 })
            {
                var bytes = Enumerable.Range(0, length).Select(i => (byte)(i * 7)).ToArray();
                t.Equal(bytes, await hub.InvokeAsync<byte[]>("EchoBytes", bytes));
            }
            t.Equal(null, await hub.InvokeAsync<byte[]?>("EchoBytes", null));
        }),
        new("numbers at their limits come back as they went", async t =>
        {
            var hub = (await t.Connect()).Hub;
            foreach (var x in new[] { 0, -0.5, 1e300, double.Epsilon, double.MaxValue, 123456.789, 1e21, 1e-7, 0.1 + 0.2 }) t.Equal(x, await hub.InvokeAsync<double>("EchoDouble", x));
            foreach (var x in new[] { 0, 1, 127, 128, 255 }) t.Equal((byte)x, await hub.InvokeAsync<byte>("EchoByte", (byte)x));
            foreach (var x in new[] { long.MinValue, -1L, 0, 9007199254740993, long.MaxValue }) t.Equal(x, await hub.InvokeAsync<long>("AddLong", x, 0L));
        }),
        new("numbers that JSON has not", async t =>
        {
            var hub = (await t.Connect()).Hub;
            foreach (var x in new[] { double.NaN, double.PositiveInfinity, double.NegativeInfinity }) t.Equal(x, await hub.InvokeAsync<double>("EchoDouble", x));
            t.Equal(true, double.IsNegative(await hub.InvokeAsync<double>("EchoDouble", -0.0)));
        }) { In = m => m.MessagePack },
        new("a result has all members of a rare object", async t =>
        {
            t.Equal(Rare.Fixed(t.Mode.MessagePack), await (await t.Connect()).Hub.InvokeAsync<Rare>("MakeRare"));
        }),
        new("a rare object comes back as it went", async t =>
        {
            var rare = Rare.Fixed(t.Mode.MessagePack);
            t.Equal(rare, await (await t.Connect()).Hub.InvokeAsync<Rare>("EchoRare", rare));
        }),
        new("a rare object of zero values", async t =>
        {
            var rare = new Rare { Unspecified = Zero(t), Old = Zero(t), ValueTuple = (0, t.Mode.MessagePack ? "" : null!) };
            t.Equal(rare, await (await t.Connect()).Hub.InvokeAsync<Rare>("EchoRare", rare));
        }),
    ];

    static DateTime Zero(Case t) => new(0, t.Mode.MessagePack ? DateTimeKind.Utc : DateTimeKind.Unspecified);
}
