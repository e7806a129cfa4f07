using System.Collections.Concurrent;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Hubwire.Driver;

/// <summary>What the event PostPublished is about, as far as it is looked at.</summary>
public sealed class Post
{
    public int Id { get; set; }
}

/// <summary>A hub connection that remembers what it was sent and answers what it is asked.</summary>
public sealed class Client
{
    public Client(Command c)
    {
        var builder = new HubConnectionBuilder().WithUrl($"{c.Url}/hub?user={Uri.EscapeDataString(c.User!)}");
        if (c.Protocol == "messagepack") builder.AddMessagePackProtocol();
        Hub = builder.Build();
        Hub.On<string>("M", Received.Enqueue);
        Hub.On<Post>("PostPublished", post => Received.Enqueue($"post {post.Id}"));
        Hub.On("Ask", (string question) => $"{c.Client} answers {question}");
        Hub.On("AskInt", () => 42);
        Hub.On("AskNull", string? (string _) => null);
        Hub.On("AskFails", string (string _) => throw new InvalidOperationException($"{c.Client} says no"));
    }

    public HubConnection Hub { get; }

    public ConcurrentQueue<string> Received { get; } = new();
}
