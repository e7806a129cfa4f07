using Microsoft.AspNetCore.SignalR;

namespace Interop;

/// <summary>What play.mjs calls of the hub of interop/node. Redis knows the hub by its full name.</summary>
public sealed class TestHub : Hub
{
    public string Echo(string text) => text;
    public string ConnectionId() => Context.ConnectionId;
    public Task Join(string group) => Groups.AddToGroupAsync(Context.ConnectionId, group);
    public Task SendAll(string method, string text) => Clients.All.SendAsync(method, text);
    public Task SendGroup(string group, string method, string text) => Clients.Group(group).SendAsync(method, text);
    public Task SendUser(string user, string method, string text) => Clients.User(user).SendAsync(method, text);
    public Task<string> Ask(string id, string method, string question) => Clients.Client(id).InvokeAsync<string>(method, question, CancellationToken.None);
    public async IAsyncEnumerable<int> Counter(int count, int milliseconds)
    {
        for (var i = 0; i < count; i++)
        {
            if (milliseconds > 0) await Task.Delay(milliseconds);
            yield return i;
        }
    }
    public async Task<string> Concat(IAsyncEnumerable<string> items) => string.Concat(await items.ToListAsync());
}
