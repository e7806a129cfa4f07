using System.Diagnostics;
using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>Which clients get a message: all, some, groups, users; from a call and from outside.</summary>
public static class Receivers
{
    public static readonly Scenario[] All =
    [
        new("single clients: caller, one, several, all but some", async t =>
        {
            var (a, b, c) = await Three(t);
            var (idA, idB, idC) = (await a.Hub.InvokeAsync<string>("ConnectionId"), await b.Hub.InvokeAsync<string>("ConnectionId"), await c.Hub.InvokeAsync<string>("ConnectionId"));
            await a.Hub.InvokeAsync("SendCaller", a.Method, "to the caller");
            await a.Hub.InvokeAsync("SendAll", a.Method, "to all");
            await a.Hub.InvokeAsync("SendOthers", a.Method, "to others");
            await a.Hub.InvokeAsync("SendClient", idB, a.Method, "to one");
            await a.Hub.InvokeAsync("SendClients", new[] { idA, idC, "nobody" }, a.Method, "to two");
            await a.Hub.InvokeAsync("SendAllExcept", new[] { idC }, a.Method, "to all but one");
            await a.Hub.InvokeAsync("SendClient", "nobody", a.Method, "to nobody");
            await a.Got(t, ["to the caller", "to all", "to two", "to all but one"]);
            await b.Got(t, ["to all", "to others", "to one", "to all but one"]);
            await c.Got(t, ["to all", "to others", "to two"]);
        }),
        new("groups: join, send, except, leave", async t =>
        {
            var (a, b, c) = await Three(t);
            var (g, h) = (t.Name("group"), t.Name("group"));
            await a.Hub.InvokeAsync("Join", g);
            await a.Hub.InvokeAsync("Join", g); // twice is once
            await b.Hub.InvokeAsync("Join", g);
            await c.Hub.InvokeAsync("Join", h);
            await c.Hub.InvokeAsync("SendGroup", g, a.Method, "to a group");
            await c.Hub.InvokeAsync("SendGroups", new[] { g, h }, a.Method, "to groups");
            await a.Hub.InvokeAsync("SendOthersInGroup", g, a.Method, "to others in the group");
            await a.Hub.InvokeAsync("SendGroupExcept", g, new[] { await b.Hub.InvokeAsync<string>("ConnectionId") }, a.Method, "to a group but one");
            await b.Hub.InvokeAsync("Leave", g);
            await c.Hub.InvokeAsync("SendGroup", g.ToUpperInvariant(), a.Method, "names of groups have case");
            await c.Hub.InvokeAsync("SendGroup", g, a.Method, "after b has left");
            await a.Got(t, ["to a group", "to groups", "to a group but one", "after b has left"]);
            await b.Got(t, ["to a group", "to groups", "to others in the group"]);
            await c.Got(t, ["to groups"]);
        }),
        new("users: all connections of each", async t =>
        {
            var (alice, bob) = (t.Name("alice"), t.Name("bob ü"));
            var (a, b, c) = await Three(t, alice, bob, alice);
            t.True(await a.User() == alice && await b.User() == bob && await c.User() == alice, "each is the user of its query");
            await b.Hub.InvokeAsync("SendUser", alice, a.Method, "to alice");
            await b.Hub.InvokeAsync("SendUsers", new[] { alice, bob, "nobody" }, a.Method, "to both");
            await a.Got(t, ["to alice", "to both"]);
            await b.Got(t, ["to both"]);
            await c.Got(t, ["to alice", "to both"]);
        }),
        new("from outside: sends and groups", async t =>
        {
            var (a, b, _) = await Three(t);
            var (g, id) = (t.Name("group"), await a.Hub.InvokeAsync<string>("ConnectionId"));
            t.Equal("200 ", await t.Post($"/api/groups/{g}/{id}"));
            await t.Post("/api/send", new { to = "group", names = new[] { g }, method = a.Method, args = new[] { "to the group" } });
            await t.Post("/api/send", new { to = "client", names = new[] { id }, method = a.Method, args = new[] { "to one" } });
            await t.Post("/api/send", new { to = "allExcept", except = new[] { id }, method = a.Method, args = new[] { "to all but one" } });
            await t.Post("/api/send", new { to = "all", method = a.Method, args = new[] { "to all" } });
            await a.Got(t, ["to the group", "to one", "to all"]);
            await b.Got(t, ["to all but one", "to all"]);
        }),
    ];

    /// <summary>A client and what it was sent under a name that the three of one case share.</summary>
    sealed class Member(HubConnection hub, string method)
    {
        readonly List<string> got = [];

        public HubConnection Hub => hub;
        public string Method => method;

        public void Listen() => hub.On<string>(method, text => { lock (got) got.Add(text); });
        public Task<string?> User() => hub.InvokeAsync<string?>("UserIdentifier");

        /// <summary>Fails unless this is all that has come. On several nodes messages of others may come after the barrier: it is tried again while some are missing.</summary>
        public async Task Got(Case t, string[] want)
        {
            var watch = Stopwatch.StartNew();
            do await Client.Barrier(hub, method + " barrier");
            while (Count() < want.Length && watch.Elapsed < TimeSpan.FromSeconds(60));
            lock (got) t.Equal(want, got.ToArray());
        }

        int Count() { lock (got) return got.Count; }
    }

    static async Task<(Member, Member, Member)> Three(Case t, params string[] users)
    {
        var method = t.Name("Message");
        async Task<Member> Connect(int i)
        {
            var member = new Member((await t.Connect(new() { Query = i < users.Length ? "user=" + Uri.EscapeDataString(users[i]) : "" })).Hub, method);
            member.Listen();
            return member;
        }
        return (await Connect(0), await Connect(1), await Connect(2));
    }
}
