using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>Client results: the server invokes a method of a client and waits for its result.</summary>
public static class ClientResults
{
    const string failed = "HubException: An unexpected error occurred invoking 'Ask' on the server.";

    public static readonly Scenario[] All =
    [
        new("a client answers its own question", async t =>
        {
            var (hub, id) = await Answering(t);
            t.Equal("answer to q", await hub.InvokeAsync<string>("Ask", id, "Ask", "q"));
            t.Equal("late answer to q", await hub.InvokeAsync<string>("Ask", id, "AskLater", "q"));
            t.Equal(42, await hub.InvokeAsync<int>("AskInt", id, "AskInt"));
            t.Equal(null, await hub.InvokeAsync<string?>("Ask", id, "AskNull", "q"));
        }),
        new("a client answers another client's question", async t =>
        {
            var (_, id) = await Answering(t);
            t.Equal("answer to q", await (await t.Connect()).Hub.InvokeAsync<string>("Ask", id, "Ask", "q"));
        }),
        new("an error of the handler reaches the one who asks", async t =>
        {
            var (hub, id) = await Answering(t);
            await t.Fails($"{failed} HubException: client says no", hub.InvokeAsync<string>("Ask", id, "AskFails", "q"));
            await t.Fails($"{failed} HubException: client says no, later", hub.InvokeAsync<string>("Ask", id, "AskFailsLater", "q"));
        }),
        new("a client without a handler, or whose handler returns nothing, gives no result", async t =>
        {
            var (hub, id) = await Answering(t);
            await t.Fails($"{failed} HubException: Client didn't provide a result.", hub.InvokeAsync<string>("Ask", id, "AskNothing", "q"));
            await t.Fails($"{failed} HubException: Client failed to parse argument(s).", hub.InvokeAsync<string>("Ask", id, "NoHandler", "q"));
            await t.Fails($"{failed} HubException: Client failed to parse argument(s).", hub.InvokeAsync<string>("Ask", id, "AskTwo", "q"));
        }),
        new("an answer of the wrong type", async t =>
        {
            var (hub, id) = await Answering(t);
            foreach (var method in new[] { "AskText", "AskNullInt" })
            {
                await t.FailsBeginning("HubException: An unexpected error occurred invoking 'AskInt' on the server. HubException: Error trying to deserialize result to Int32. ", hub.InvokeAsync<int>("AskInt", id, method));
            }
            t.Equal(42, await hub.InvokeAsync<int>("AskInt", id, "AskInt"));
        }),
        new("a question to a connection that is not there", async t =>
        {
            await t.Fails(failed, (await t.Connect()).Hub.InvokeAsync<string>("Ask", "nobody", "Ask", "q"));
            var detailed = await t.Connect(new() { Node = t.Nodes.Detailed });
            await t.Fails($"{failed} IOException: Connection 'nobody' does not exist.", detailed.Hub.InvokeAsync<string>("Ask", "nobody", "Ask", "q"));
        }),
        new("fifty questions at once, each gets its own answer", async t =>
        {
            var (_, id) = await Answering(t);
            var hub = (await t.Connect()).Hub;
            var questions = Enumerable.Range(0, 50).ToArray();
            var answers = await Task.WhenAll(questions.Select(i => hub.InvokeAsync<string>("Ask", id, i % 2 == 0 ? "AskLater" : "Ask", $"q{i}")));
            t.Equal(questions.Select(i => $"{(i % 2 == 0 ? "late " : "")}answer to q{i}"), answers);
        }),
        new("the asked client goes away", async t =>
        {
            var (asked, id) = await Answering(t);
            var question = (await t.Connect()).Hub.InvokeAsync<string>("Ask", id, "AskNever", "q");
            await Task.Delay(100);
            await asked.StopAsync();
            await t.Fails(failed, question);
        }),
        new("asked from outside of any call", async t =>
        {
            var (hub, id) = await Answering(t);
            t.Equal("200 answer to question", await t.Post($"/api/ask/{id}/Ask"));
            t.Equal("409 HubException: client says no", await t.Post($"/api/ask/{id}/AskFails"));
            t.Equal("409 IOException: Connection 'nobody' does not exist.", await t.Post("/api/ask/nobody/Ask"));
            t.True((await t.Post($"/api/ask/{id}/AskNever?timeout=50")).StartsWith("409 ", StringComparison.Ordinal), "a question that is given up fails");
            t.Equal("still here", await hub.InvokeAsync<string>("Echo", "still here"));
        }),
    ];

    static async Task<(HubConnection, string)> Answering(Case t)
    {
        var client = t.Client();
        var hub = client.Hub;
        hub.On<string, string>("Ask", question => $"answer to {question}");
        hub.On<string, string>("AskLater", async question => { await Task.Delay(30); return $"late answer to {question}"; });
        hub.On("AskInt", () => 42);
        hub.On<string, string>("AskFails", string (_) => throw new InvalidOperationException("client says no"));
        hub.On<string, string>("AskFailsLater", async _ => { await Task.Delay(5); throw new InvalidOperationException("client says no, later"); });
        hub.On<string, string?>("AskNull", string? (_) => null);
        hub.On<int?>("AskNullInt", int? () => null);
        hub.On("AskText", () => "not a number");
        hub.On<string>("AskNothing", _ => { });
        hub.On<string, int, string>("AskTwo", (question, number) => $"{question} {number}");
        hub.On<string, string>("AskNever", _ => new TaskCompletionSource<string>().Task);
        await hub.StartAsync();
        return (hub, await client.Id());
    }
}
