using System.Net;
using Microsoft.AspNetCore.SignalR.Client;

namespace Hubwire.Matrix;

/// <summary>What a client says with its HTTP requests: token, headers, cookies, query.</summary>
public static class Requests
{
    public static readonly Scenario[] All =
    [
        new("an access token provider", async t =>
        {
            var asked = 0;
            var client = await t.Connect(new() { Http = o => o.AccessTokenProvider = () => { Interlocked.Increment(ref asked); return Task.FromResult<string?>("a+token/1="); } });
            // This client sends the token as a header, and never in the query.
            t.Equal("Bearer a+token/1=", await client.Hub.InvokeAsync<string?>("Header", "Authorization"));
            t.Equal(null, await client.Hub.InvokeAsync<string?>("Query", "access_token"));
            t.True(asked > 0, "the provider was asked");
        }),
        new("headers of the client's own", async t =>
        {
            var client = await t.Connect(new() { Http = o => { o.Headers["X-Test"] = "value"; o.Headers["X-List"] = "a, b"; } });
            t.Equal("value", await client.Hub.InvokeAsync<string?>("Header", "X-Test"));
            t.Equal("value", await client.Hub.InvokeAsync<string?>("Header", "x-test"));
            t.Equal("a, b", await client.Hub.InvokeAsync<string?>("Header", "X-List"));
            t.Equal("XMLHttpRequest", await client.Hub.InvokeAsync<string?>("Header", "X-Requested-With"));
            t.Equal(null, await client.Hub.InvokeAsync<string?>("Header", "X-Other"));
        }),
        new("cookies", async t =>
        {
            var client = await t.Connect(new()
            {
                Http = o =>
                {
                    o.Cookies.Add(new Cookie("session", "abc-123", "/", t.Nodes.Plain.Host));
                    o.Cookies.Add(new Cookie("theme", "dark%20blue", "/", t.Nodes.Plain.Host));
                },
            });
            t.Equal("abc-123", await client.Hub.InvokeAsync<string?>("Cookie", "session"));
            t.Equal("dark blue", await client.Hub.InvokeAsync<string?>("Cookie", "theme"));
            t.Equal(null, await client.Hub.InvokeAsync<string?>("Cookie", "other"));
        }),
        new("the query", async t =>
        {
            var client = await t.Connect(new() { Query = "a=1%20%2B%20%C3%BC&empty=" });
            t.Equal("1 + ü", await client.Hub.InvokeAsync<string?>("Query", "a"));
            t.Equal("", await client.Hub.InvokeAsync<string?>("Query", "empty"));
            t.Equal(null, await client.Hub.InvokeAsync<string?>("Query", "other"));
        }),
        new("a user, and a method for users only", async t =>
        {
            const string user = "alice";
            var client = await t.Connect(new() { Http = o => o.Headers["X-User"] = user });
            t.Equal(user, await client.Hub.InvokeAsync<string?>("UserIdentifier"));
            t.Equal("for users", await client.Hub.InvokeAsync<string>("OnlyUsers"));
            t.Equal(null, await (await t.Connect()).Hub.InvokeAsync<string?>("UserIdentifier"));
        }),
    ];
}
