// .NET clients that live through a rolling restart: dotnet rolling.dll URL COUNT PAUSE. What clients.mjs says of itself is true of
// this program, too.
using System.Text.Json;
using Hubwire.Rolling;

var clients = Enumerable.Range(0, int.Parse(args[1])).Select(i => new Client(args[0], i)).ToList();
foreach (var c in clients)
{
    await c.Start();
}
var working = clients.Select(c => c.Work(int.Parse(args[2]))).ToList();
Console.WriteLine("READY");
while (Console.In.ReadLine() is not null) { }
for (var end = DateTime.UtcNow + Client.Patience; DateTime.UtcNow < end && clients.Any(c => !c.Seen.Over);)
{
    await Task.Delay(50);
}
foreach (var c in clients)
{
    c.Stopping = true;
}
await Task.WhenAll(working);
foreach (var c in clients)
{
    Console.WriteLine(JsonSerializer.Serialize(c.Seen, JsonSerializerOptions.Web));
    await c.Stop();
}
