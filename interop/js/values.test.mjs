// Objects as arguments and results: JSON as System.Text.Json writes it, MessagePack as MessagePack-CSharp does.
import assert from "node:assert/strict";
import { connect, it, received } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";

const year1 = new Date("0001-01-01T00:00:00Z");
const inJSON = {
    bool: true, byte: 255, int: -7, long: 9007199254740992, float: 1.5, double: 0.1, decimal: 12.5, text: "grüße \"<&>' \u{1F680}", absent: null,
    guid: "00010203-0405-0607-0809-0a0b0c0d0e0f", dateTime: "2026-01-02T03:04:05.678Z", dateTimeOffset: "2026-01-02T03:04:05.678+02:00", timeSpan: "1.02:03:04.0050000",
    bytes: "AAF/gP8=", color: 2, maybeInt: null, list: [1, 2, 3], map: { a: "b", Key: "Value" },
    nested: {
        bool: false, byte: 0, int: 1, long: 0, float: 0, double: 0, decimal: 0, text: "inner", absent: null,
        guid: "00000000-0000-0000-0000-000000000000", dateTime: "0001-01-01T00:00:00", dateTimeOffset: "0001-01-01T00:00:00+00:00", timeSpan: "00:00:00",
        bytes: null, color: 0, maybeInt: null, list: null, map: null, nested: null,
    },
};
const inMessagePack = {
    Bool: true, Byte: 255, Int: -7, Long: 9007199254740992, Float: 1.5, Double: 0.1, Decimal: "12.50", Text: "grüße \"<&>' \u{1F680}", Absent: null,
    Guid: "00010203-0405-0607-0809-0a0b0c0d0e0f", DateTime: new Date("2026-01-02T03:04:05.678Z"), DateTimeOffset: [new Date("2026-01-02T03:04:05.678Z"), 120], TimeSpan: 937840050000,
    Bytes: new Uint8Array([0, 1, 127, 128, 255]), Color: "Blue", MaybeInt: null, List: [1, 2, 3], Map: { a: "b", Key: "Value" },
    Nested: {
        Bool: false, Byte: 0, Int: 1, Long: 0, Float: 0, Double: 0, Decimal: "0", Text: "inner", Absent: null,
        Guid: "00000000-0000-0000-0000-000000000000", DateTime: year1, DateTimeOffset: [year1, 0], TimeSpan: 0,
        Bytes: null, Color: "Red", MaybeInt: null, List: null, Map: null, Nested: null,
    },
};

forEachMode((mode) => {
    const start = async () => connect(mode, (await node()).url), sample = mode.messagePack ? inMessagePack : inJSON;

    it("a result has all members of the object", async () => {
        assert.deepEqual(await (await start()).invoke("MakeSample"), sample);
    });
    it("an object comes back as it went", async () => {
        const c = await start();
        const exact = { ...sample, [mode.messagePack ? "Long" : "long"]: 9007199254740991 }; // the fixed one is beyond what JavaScript writes as an integer
        assert.deepEqual(await c.invoke("EchoSample", exact), exact);
        assert.equal(await c.invoke("EchoSample", null), null);
    });
    it("an object without members gets the zero value of each", async () => {
        const zero = mode.messagePack ? { ...sample.Nested, Int: 0, Text: null } : { ...sample.nested, int: 0, text: null };
        assert.deepEqual(await (await start()).invoke("EchoSample", {}), zero);
    });
    it("an object in a call of the client has all its members", async () => {
        const c = await start();
        await c.invoke("SendCaller", "M", "first");
        await c.invoke("SendSampleToAll", "M");
        assert.deepEqual(await received(c), [[["first"], [sample, 42, null]]]);
    });
    it("a moment comes back as it went", async () => {
        const c = await start();
        if (mode.messagePack) for (const at of ["2026-01-02T00:00:00Z", "1970-01-01T00:00:00.001Z", "1969-12-31T23:59:59Z", "2514-05-30T01:53:04Z"]) assert.deepEqual(await c.invoke("EchoDateTime", new Date(at)), new Date(at));
        else for (const at of ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.6789Z", "2026-01-02T03:04:05", "0001-01-01T00:00:00"]) assert.equal(await c.invoke("EchoDateTime", at), at);
    });
    it("bytes of every value and of length 0 come back as they went", async () => {
        const c = await start(), all = mode.bytes(Array.from({ length: 256 }, (_, i) => i));
        assert.deepEqual(await c.invoke("EchoBytes", all), all);
        assert.deepEqual(await c.invoke("EchoBytes", mode.bytes([])), mode.bytes([]));
        assert.equal(await c.invoke("EchoBytes", null), null);
    });
    it("numbers at their limits come back as they went", async () => {
        const c = await start();
        for (const x of [0, -0.5, 1e300, 5e-324, 1.7976931348623157e308, 123456.789]) assert.equal(await c.invoke("EchoDouble", x), x);
        for (const x of [0, 1, 127, 128, 255]) assert.equal(await c.invoke("EchoByte", x), x);
        for (const x of [2147483647, -2147483648]) assert.equal(await c.invoke("Add", x, 0), x);
        for (const x of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) assert.equal(await c.invoke("AddLong", x, 0), x);
    });
});
