using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>The text of every error that a call can end with, with detailed errors and without.</summary>
public static class Errors
{
    const string missing = " HubException: Method does not exist.";
    const string binding = " InvalidDataException: Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.";

    static string Failed(string method) => $"Failed to invoke '{method}' due to an error on the server.";
    static string Unexpected(string method) => $"An unexpected error occurred invoking '{method}' on the server.";
    static string Count(int provided, int expected) => $" InvalidDataException: Invocation provides {provided} argument(s) but target expects {expected}.";

    /// <summary>What is called, the error that the caller gets, and what detailed errors add to it.</summary>
    sealed record Failure(string Name, string Method, object?[] Args, string Told, string Detail = "", bool Stream = false);

    static readonly Failure[] failures =
    [
        new("a method that is not there", "NoSuchMethod", [1], Failed("NoSuchMethod") + missing),
        new("a method that is not there, in the spelling of the call", "noSuchMethod", [], Failed("noSuchMethod") + missing),
        .. new[] { "OnConnectedAsync", "OnDisconnectedAsync", "Dispose", "ToString", "GetHashCode", "HasAnotherName" }.Select(name =>
            new Failure($"{name} is no method for clients", name, [], Failed(name) + missing)),
        new("too few arguments", "Add", [1], Failed("Add"), Count(1, 2)),
        new("too many arguments", "Add", [1, 2, 3], Failed("Add"), Count(3, 2)),
        new("an argument where none is wanted", "Nothing", [1], Failed("Nothing"), Count(1, 0)),
        new("the method's own spelling", "add", [1], Failed("Add"), Count(1, 2)),
        new("text where numbers are wanted", "Add", ["one", "two"], Failed("Add"), binding),
        new("null where a number is wanted", "Add", [1, null], Failed("Add"), binding),
        new("a fraction where an integer is wanted", "Add", [1.5, 2], Failed("Add"), binding),
        new("a number that is too large", "Add", [2147483648, 1], Failed("Add"), binding),
        new("a number that is too large for a byte", "EchoByte", [256], Failed("EchoByte"), binding),
        new("a negative number for a byte", "EchoByte", [-1], Failed("EchoByte"), binding),
        new("a number where text is wanted", "Echo", [1], Failed("Echo"), binding),
        new("a list where text is wanted", "Echo", [new[] { "x" }], Failed("Echo"), binding),
        new("text that is no date", "EchoDateTime", ["not a date"], Failed("EchoDateTime"), binding),
        new("a list of the wrong type", "SendClients", [new[] { 1 }, "M", "x"], Failed("SendClients"), binding),
        new("an error of the method", "Throw", ["secret"], Unexpected("Throw"), " InvalidOperationException: secret"),
        new("a HubException is for every client", "ThrowHubException", ["for all"], $"{Unexpected("ThrowHubException")} HubException: for all"),
        new("a HubException with quotes and beyond ASCII", "ThrowHubException", ["\"grüße\" <\U0001F680>"], $"{Unexpected("ThrowHubException")} HubException: \"grüße\" <\U0001F680>"),
        new("a method for users only", "OnlyUsers", [], "Failed to invoke 'OnlyUsers' because user is unauthorized"),
        new("a streaming method that is invoked", "Counter", [1, 0], "The client attempted to invoke the streaming 'Counter' method with a non-streaming invocation."),
        new("a stream of a method that is not there", "NoSuchStream", [], Failed("NoSuchStream") + missing, Stream: true),
        new("a stream of an ordinary method", "Echo", ["x"], "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.", Stream: true),
        new("a stream with too few arguments", "Counter", [1], Failed("Counter"), Count(1, 2), Stream: true),
        new("a stream with the wrong arguments", "Counter", ["x", 0], Failed("Counter"), binding, Stream: true),
        new("a stream that fails", "CounterThenThrow", [2, "broken"], "An error occurred on the server while streaming results.", " InvalidOperationException: broken", Stream: true),
        new("a null for a stream", "NullStream", [], "The value returned by the streaming method 'NullStream' is not a ChannelReader<> or IAsyncEnumerable<>.", Stream: true),
        new("a HubException instead of a stream", "ThrowInsteadOfStream", ["no stream"], $"{Unexpected("ThrowInsteadOfStream")} HubException: no stream", Stream: true),
    ];

    public static readonly Scenario[] All =
    [
        .. failures.SelectMany(f => new[] { Plays(f, detailed: false), Plays(f, detailed: true) }),
        Closes("a message over the limit closes the connection", "Echo", new string('x', 32768), " InvalidDataException: The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions."),
        Closes("a result that cannot be written closes the connection", "Unserializable", null, null),
    ];

    static Scenario Plays(Failure f, bool detailed) => new($"{f.Name}{(detailed ? ", detailed" : "")}", async t =>
    {
        var hub = (await t.Connect(new() { Node = detailed ? t.Nodes.Detailed : t.Nodes.Plain })).Hub;
        Task call = f.Stream ? hub.StreamAsyncCore<object>(f.Method, f.Args).ToListAsync().AsTask() : hub.InvokeCoreAsync<object>(f.Method, f.Args);
        await t.Fails($"HubException: {f.Told}{(detailed ? f.Detail : "")}", call);
        t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
    });

    /// <summary>A call that ends the connection; without a detail, that is the words of a library.</summary>
    static Scenario Closes(string name, string method, object? arg, string? detail) => new(name, async t =>
    {
        const string told = "HubException: The server closed the connection with the following error: Connection closed with an error.";
        foreach (var node in new[] { t.Nodes.Plain, t.Nodes.Detailed })
        {
            var client = await t.Connect(new() { Node = node });
            var call = client.Hub.InvokeCoreAsync<object>(method, arg is null ? [] : [arg]);
            // A POST of the rest may fail on its own once the connection has ended; a WebSocket has no such race.
            if (Mode.WebSockets(t.Mode)) await t.FailsBeginning(told, call);
            else t.True(await Case.Ends(call) != "no error", "the call fails");
            var closed = Show.Error((await client.Closed)!);
            if (node == t.Nodes.Plain) t.Equal(told, closed);
            else if (detail is not null) t.Equal(told + detail, closed);
            else t.True(closed.StartsWith(told + " ", StringComparison.Ordinal), "the detailed text is the same, with a reason behind it");
            t.Equal(HubConnectionState.Disconnected, client.Hub.State);
        }
    });
}
