// Uses every shape that Chat.cs has; the compiler checks it.
using ChatHubClient;
using Microsoft.AspNetCore.SignalR.Client;

await using var connection = new HubConnectionBuilder().WithUrl("http://127.0.0.1:1/chat").Build();
using var received = connection.OnReceiveMessage((string user, Line line) => Console.WriteLine($"{user} {line.At}"));
using var asked = connection.OnAsk(async question => { await Task.Yield(); return question == ""; });
using var bye = connection.OnBye(() => { });
using var receivedOnce = connection.OnceReceiveMessage((string user, Line line) => Console.WriteLine($"{user} {line.At}"));
using var byeOnce = connection.OnceBye(async () => await Task.Yield());
Func<Task> use = async () =>
{
    await connection.SendMessageAsync("user", "text");
    await connection.SendMessageNoWaitAsync("user", "text");
    using var rejoining = await connection.StartAndRejoinAsync(() => connection.SendMessageAsync("user", "text"), e => Console.WriteLine(e));
    using var registered = connection.Register(new Client());
    List<Line> history = await connection.HistoryAsync(1, "class");
    asked.Dispose(); // the client takes one that answers at a time
    using var askedOnce = connection.OnceAsk(question => question == "");
    bool red = history[0].Color == Color.Red;
    await foreach (long n in connection.CounterAsync(3)) Console.WriteLine(n);
    long count = await connection.UploadAsync(Texts());
    Console.WriteLine($"{red} {count}");
};
Console.WriteLine("ok");
return use is null ? 1 : 0;

static async IAsyncEnumerable<string> Texts()
{
    await Task.Yield();
    yield return "text";
}

sealed class Client : IChatHubClient
{
    public Task ReceiveMessage(string user, Line line) => Task.CompletedTask;

    public Task<bool> Ask(string question) => Task.FromResult(question == "");

    public Task Bye() => Task.CompletedTask;
}
