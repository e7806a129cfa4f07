// The text of every error that a call can end with, with detailed errors and without.
import assert from "node:assert/strict";
import { describe } from "node:test";
import { connect, it, items, rejects } from "./lib/client.mjs";
import { forEachMode } from "./lib/modes.mjs";
import { node } from "./lib/node.mjs";

const failed = (x) => `Failed to invoke '${x}' due to an error on the server.`, unexpected = (x) => `An unexpected error occurred invoking '${x}' on the server.`;
const missing = " HubException: Method does not exist.";
const count = (n, of) => ` InvalidDataException: Invocation provides ${n} argument(s) but target expects ${of}.`;
const binding = " InvalidDataException: Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.";

/** What is called, the error that the client gets, and what detailed errors add to it. */
const cases = [
    ["a method that is not there", ["NoSuchMethod", 1], failed("NoSuchMethod") + missing],
    ["a method that is not there, in the spelling of the call", ["noSuchMethod"], failed("noSuchMethod") + missing],
    ...["OnConnectedAsync", "OnDisconnectedAsync", "Dispose", "ToString", "GetHashCode", "HasAnotherName"].map((name) => [`'${name}' is no method for clients`, [name], failed(name) + missing]),
    ["too few arguments", ["Add", 1], failed("Add"), count(1, 2)],
    ["too many arguments", ["Add", 1, 2, 3], failed("Add"), count(3, 2)],
    ["an argument where none is wanted", ["Nothing", 1], failed("Nothing"), count(1, 0)],
    ["the method's own spelling", ["add", 1], failed("Add"), count(1, 2)],
    ["text where numbers are wanted", ["Add", "one", "two"], failed("Add"), binding],
    ["null where a number is wanted", ["Add", 1, null], failed("Add"), binding],
    ["a fraction where an integer is wanted", ["Add", 1.5, 2], failed("Add"), binding],
    ["a number that is too large", ["Add", 2147483648, 1], failed("Add"), binding],
    ["a number that is too large for a byte", ["EchoByte", 256], failed("EchoByte"), binding],
    ["a negative number for a byte", ["EchoByte", -1], failed("EchoByte"), binding],
    ["a number where text is wanted", ["Echo", 1], failed("Echo"), binding],
    ["a list where text is wanted", ["Echo", ["x"]], failed("Echo"), binding],
    ["text that is no date", ["EchoDateTime", "not a date"], failed("EchoDateTime"), binding],
    ["a list of the wrong type", ["SendClients", [1], "M", "x"], failed("SendClients"), binding],
    ["an error of the method", ["Throw", "secret"], unexpected("Throw"), " InvalidOperationException: secret"],
    ["a HubException is for every client", ["ThrowHubException", "for all"], `${unexpected("ThrowHubException")} HubException: for all`],
    ["a HubException with quotes and beyond ASCII", ["ThrowHubException", "\"grüße\" <\u{1F680}>"], `${unexpected("ThrowHubException")} HubException: "grüße" <\u{1F680}>`],
    ["a method for users only", ["OnlyUsers"], "Failed to invoke 'OnlyUsers' because user is unauthorized"],
    ["a streaming method that is invoked", ["Counter", 1, 0], "The client attempted to invoke the streaming 'Counter' method with a non-streaming invocation."],
    ["a method with an upload, without a stream", ["Concat"], `${unexpected("Concat")} HubException: Client sent 0 stream(s), Hub method expects 1.`],
    ["a question to a connection that is not there", ["Ask", "nobody", "Ask", "q"], unexpected("Ask"), " IOException: Connection 'nobody' does not exist."],
];
const streams = [
    ["a stream of a method that is not there", ["NoSuchStream"], failed("NoSuchStream") + missing],
    ["a stream of an ordinary method", ["Echo", "x"], "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation."],
    ["a stream with too few arguments", ["Counter", 1], failed("Counter"), count(1, 2)],
    ["a stream with the wrong arguments", ["Counter", "x", 0], failed("Counter"), binding],
    ["a stream that fails", ["CounterThenThrow", 2, "broken"], "An error occurred on the server while streaming results.", " InvalidOperationException: broken"],
    ["a null for a stream", ["NullStream"], "The value returned by the streaming method 'NullStream' is not a ChannelReader<> or IAsyncEnumerable<>."],
    ["a HubException instead of a stream", ["ThrowInsteadOfStream", "no stream"], `${unexpected("ThrowInsteadOfStream")} HubException: no stream`],
];

for (const detailed of [false, true]) describe(`detailed errors ${detailed}`, () => forEachMode((mode) => {
    const start = async (options) => connect(mode, (await node("--detailed", String(detailed))).url, options);
    const text = (told, more = "") => told + (detailed ? more : "");

    for (const [name, call, told, more] of cases) it(name, async () => {
        const c = await start();
        await rejects(c.invoke(...call), text(told, more));
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    });
    for (const [name, call, told, more] of streams) it(name, async () => {
        const c = await start();
        await rejects(items(c, call), text(told, more));
        assert.equal(await c.invoke("Echo", "still here"), "still here");
    });
    it("a method for users only, called by a user", async () => {
        assert.equal(await (await start({ user: "alice" })).invoke("OnlyUsers"), "for users");
    });
    it("a result that cannot be written closes the connection", async () => {
        const c = await start(), calls = [c.invoke("Unserializable"), c.invoke("Echo", "behind it")];
        const [[first], e] = [await Promise.allSettled(calls), await c.closed];
        assert.equal(first.reason.message, e.message);
        if (detailed) assert.ok(e.message.startsWith("Server returned an error on close: Connection closed with an error. "), e.message);
        else assert.equal(e.message, "Server returned an error on close: Connection closed with an error.");
    });
    it("a message over the limit closes the connection", async () => {
        const c = await start();
        const calls = await Promise.allSettled([c.invoke("Echo", "x".repeat(32768))]), e = await c.closed;
        const more = " InvalidDataException: The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions.";
        assert.equal(e.message, text("Server returned an error on close: Connection closed with an error.", more));
        assert.equal(calls[0].reason.message, e.message);
    });
}));
