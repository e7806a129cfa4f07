using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using Microsoft.Extensions.DependencyInjection;

namespace Hubwire.Matrix;

/// <summary>Handshakes that the server refuses.</summary>
public static class Handshakes
{
    public static readonly Scenario[] All =
    [
        new("a protocol that the server does not know", async t =>
        {
            var client = t.Client(new() { Builder = b => b.Services.AddSingleton<IHubProtocol>(new Pretended("smoke", 1, t.Mode.MessagePack)) });
            await t.Fails("HubException: Unable to complete handshake with the server due to an error: The protocol 'smoke' is not supported.", client.Hub.StartAsync());
        }),
        .. new (string Name, string Says, string Answer)[]
        {
            ("a handshake that is no JSON", "nonsense\u001e", "{\"error\":\"An unexpected error occurred during connection handshake.\"}\u001e"),
            ("a handshake without a protocol", "{\"version\":1}\u001e", "{\"error\":\"An unexpected error occurred during connection handshake.\"}\u001e"),
            ("a handshake that is a list", "[]\u001e", "{\"error\":\"An unexpected error occurred during connection handshake.\"}\u001e"),
            ("a version that the server does not know", "{\"protocol\":\"json\",\"version\":9}\u001e", "{\"error\":\"The server does not support version 9 of the 'json' protocol.\"}\u001e"),
            ("a handshake that is good", "{\"protocol\":\"json\",\"version\":1,\"more\":[1,{}]}\u001e", "{}\u001e"),
        }.Select(h => new Scenario(h.Name, async t =>
        {
            var raw = await Connections.Raw(t, t.Nodes.Plain, "/hub");
            await raw.Transport.Output.WriteAsync(Encoding.UTF8.GetBytes(h.Says));
            t.Equal(h.Answer, await Answer(raw.Transport.Input));
        }) { In = m => m.Json }),
        new("a client that does not say anything", async t =>
        {
            var raw = await Connections.Raw(t, t.Nodes.Impatient, "/hub");
            t.Equal("{\"error\":\"Handshake was canceled.\"}\u001e", await Answer(raw.Transport.Input));
        }),
    ];

    /// <summary>What the server says, up to the end of its first record or of the connection.</summary>
    static async Task<string> Answer(System.IO.Pipelines.PipeReader input)
    {
        var text = "";
        while (!text.EndsWith('\u001e'))
        {
            var read = await input.ReadAsync();
            text += Encoding.UTF8.GetString(read.Buffer.ToArray());
            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) break;
        }
        return text;
    }

    /// <summary>A protocol that has a name and a version, and is never spoken.</summary>
    sealed class Pretended(string name, int version, bool binary) : IHubProtocol
    {
        public string Name => name;
        public int Version => version;
        public TransferFormat TransferFormat => binary ? TransferFormat.Binary : TransferFormat.Text;
        public ReadOnlyMemory<byte> GetMessageBytes(HubMessage message) => throw new NotSupportedException();
        public bool IsVersionSupported(int version) => true;
        public void WriteMessage(HubMessage message, IBufferWriter<byte> output) => throw new NotSupportedException();

        public bool TryParseMessage(ref ReadOnlySequence<byte> input, IInvocationBinder binder, [NotNullWhen(true)] out HubMessage? message)
        {
            message = null;
            return false;
        }
    }
}
