// Official .NET clients at the disposal of a Go test: commands on standard input, answers on standard output, one JSON
// object per line. driver.mjs is the same with JavaScript clients; driver_test.go says what the commands are.

using System.Collections.Concurrent;
using System.Text.Json;
using Hubwire.Driver;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

var web = new JsonSerializerOptions(JsonSerializerDefaults.Web);
var clients = new ConcurrentDictionary<string, Client>();
var output = new Lock();

async Task<object?> Run(Command c)
{
    switch (c.Name)
    {
        case "connect":
            var client = new Client(c);
            await client.Hub.StartAsync();
            clients[c.Client] = client;
            return await client.Hub.InvokeAsync<string>("ConnectionId");
        case "invoke":
            return await clients[c.Client].Hub.InvokeCoreAsync<object?>(c.Method!, c.Args!.Select(Command.Plain).ToArray());
        case "received":
            return clients[c.Client].Received.ToArray();
        case "stop":
            await clients[c.Client].Hub.DisposeAsync();
            return null;
        default:
            throw new ArgumentException($"unknown command {c.Name}");
    }
}

async Task Answer(Command c)
{
    object answer;
    try { answer = new { c.Id, Result = await Run(c) }; }
    catch (Exception e) { answer = new { c.Id, Error = e.Message }; }
    lock (output) Console.WriteLine(JsonSerializer.Serialize(answer, web));
}

while (Console.ReadLine() is { } line) _ = Answer(JsonSerializer.Deserialize<Command>(line, web)!);
