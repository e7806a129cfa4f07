using System.Diagnostics;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Hubwire.Rolling;

/// <summary>What a client has seen.</summary>
sealed class Seen
{
    public required string Kind { get; init; }
    public int Received { get; set; }
    public int Last { get; set; }
    public int Lost { get; set; }
    public int Gaps { get; set; }
    public long Longest { get; set; }
    public int Calls { get; set; }
    public int Failed { get; set; }
    public bool Over { get; set; }
    public List<string> Cuts { get; } = [];
    public List<string> Wrong { get; } = [];
}

/// <summary>A client that reconnects automatically and joins its group again by itself.</summary>
sealed class Client
{
    /// <summary>How long a tick after all restarts may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    static readonly (HttpTransportType Transport, bool Binary)[] ways =
    [
        (HttpTransportType.WebSockets, false), (HttpTransportType.ServerSentEvents, false), (HttpTransportType.LongPolling, false), (HttpTransportType.WebSockets, true),
    ];

    readonly HubConnection hub;
    readonly Lock guard = new(); // of what follows, and of Seen
    readonly Stopwatch sinceLoss = new();
    bool up, gap;

    public Seen Seen { get; }
    public volatile bool Stopping;

    public Client(string url, int number)
    {
        var (transport, binary) = ways[number % ways.Length];
        Seen = new Seen { Kind = $".NET {transport} {(binary ? "messagepack" : "json")}" };
        var builder = new HubConnectionBuilder().WithUrl(url, transport).WithAutomaticReconnect();
        if (binary)
        {
            builder.AddMessagePackProtocol();
        }
        hub = builder.Build();
        hub.On<int>("Tick", Tick);
        hub.Reconnecting += e => { Lost(e); return Task.CompletedTask; };
        hub.Reconnected += _ => Join();
        hub.Closed += e =>
        {
            if (!Stopping)
            {
                Wrong($"closed for good: {e?.Message}");
            }
            return Task.CompletedTask;
        };
    }

    public async Task Start()
    {
        await hub.StartAsync();
        await Join();
    }

    public Task Stop() => hub.StopAsync();

    void Lost(Exception? e)
    {
        lock (guard)
        {
            if (e is not null)
            {
                Seen.Cuts.Add(e.Message);
            }
            up = false;
            gap = true;
            Seen.Gaps++;
            sinceLoss.Restart();
        }
    }

    void Wrong(string what)
    {
        lock (guard)
        {
            Seen.Wrong.Add(what);
        }
    }

    void Tick(int n)
    {
        lock (guard)
        {
            if (n < 0)
            {
                Seen.Over = true;
                n = -n;
            }
            if (Seen.Received++ > 0 && n != Seen.Last + 1)
            {
                if (gap) // an old tick may come again: the new node may be late with what Redis has sent
                {
                    Seen.Lost += Math.Max(n - Seen.Last - 1, 0);
                }
                else
                {
                    Seen.Wrong.Add($"{n} after {Seen.Last}");
                }
            }
            if (n <= Seen.Last)
            {
                return;
            }
            gap = false;
            Seen.Last = n;
        }
    }

    async Task Join()
    {
        lock (guard)
        {
            gap = true; // again: a tick of the old connection may have come late
        }
        try
        {
            await hub.InvokeAsync("Join");
        }
        catch (Exception e)
        {
            if (hub.State == HubConnectionState.Connected)
            {
                Wrong($"Join: {e.Message}");
            }
            return; // the next reconnect joins
        }
        lock (guard)
        {
            Seen.Longest = Math.Max(Seen.Longest, sinceLoss.ElapsedMilliseconds);
            sinceLoss.Reset();
            up = true;
        }
    }

    (bool Up, int Gaps) State()
    {
        lock (guard)
        {
            return (up, Seen.Gaps);
        }
    }

    /// <summary>Calls the hub all the time. A call may fail only where the connection ends.</summary>
    public async Task Work(int pause)
    {
        for (var n = 0; !Stopping; await Task.Delay(pause))
        {
            var before = State();
            if (!before.Up)
            {
                continue;
            }
            try
            {
                var got = await hub.InvokeAsync<int>("Work", ++n);
                if (got != n)
                {
                    Wrong($"Work({n}) = {got}");
                }
                lock (guard)
                {
                    Seen.Calls++;
                }
            }
            catch (Exception e)
            {
                lock (guard)
                {
                    Seen.Failed++;
                }
                for (var end = DateTime.UtcNow + Patience; DateTime.UtcNow < end && State().Gaps == before.Gaps && !Stopping;)
                {
                    await Task.Delay(50);
                }
                if (State().Gaps == before.Gaps && !Stopping)
                {
                    Wrong($"a call failed outside any gap: {e.Message}");
                }
            }
        }
    }
}
