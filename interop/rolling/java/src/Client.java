import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import com.microsoft.signalr.HubConnectionState;
import com.microsoft.signalr.TransportEnum;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A client with a thread that starts it, joins its group, calls the hub, and starts it again when it was closed. */
final class Client {
    /** How long a tick after all restarts may take, in milliseconds. */
    static final long PATIENCE = 60_000;

    /** How long a client may be away before it is closed for good, in milliseconds: as the other clients. */
    private static final long AWAY = 42_000;

    private static final long LIMIT = 20; // of each wait, in seconds
    private static final long FIRST_LIMIT = 90; // of those for the first connection, for which the library is loaded

    /** What a client has seen. */
    static final class Seen {
        String kind;
        int received;
        int last;
        int lost;
        int gaps;
        long longest;
        int calls;
        int failed;
        boolean over;
        final List<String> cuts = new ArrayList<>();
        final List<String> wrong = new ArrayList<>();
    }

    private final String url;
    private final TransportEnum transport;
    private volatile HubConnection hub;
    private final int pause; // after each answer, in milliseconds
    private final Seen seen = new Seen(); // guarded by itself
    private boolean gap; // guarded by seen
    private volatile boolean stopping;
    private final Thread thread = new Thread(this::live);

    Client(String url, int number, int pause) {
        this.pause = pause;
        this.url = url;
        transport = number % 2 == 0 ? TransportEnum.WEBSOCKETS : TransportEnum.LONG_POLLING;
        seen.kind = "Java " + (number % 2 == 0 ? "WebSockets" : "LongPolling") + " json";
    }

    /** Connects, joins, and goes on by itself. */
    void begin() {
        connect(FIRST_LIMIT);
        thread.start();
    }

    boolean isOver() {
        synchronized (seen) {
            return seen.over;
        }
    }

    Seen end() throws InterruptedException {
        stopping = true;
        thread.join();
        synchronized (seen) {
            return seen;
        }
    }

    private void tick(int n) {
        synchronized (seen) {
            if (n < 0) {
                seen.over = true;
                n = -n;
            }
            if (seen.received++ > 0 && n != seen.last + 1) {
                if (gap) { // an old tick may come again: the new node may be late with what Redis has sent
                    seen.lost += Math.max(n - seen.last - 1, 0);
                } else {
                    seen.wrong.add(n + " after " + seen.last);
                }
            }
            if (n <= seen.last) {
                return;
            }
            gap = false;
            seen.last = n;
        }
    }

    /** A HubConnection that is started again would keep the cookie of its first node: DefaultHttpClient never replaces one. */
    private void connect(long limit) {
        hub = HubConnectionBuilder.create(url).withTransport(transport).build();
        hub.on("Tick", this::tick, Integer.class);
        hub.onClosed(e -> {
            synchronized (seen) {
                if (e != null) {
                    seen.cuts.add(e.toString());
                }
            }
        });
        if (!hub.start().blockingAwait(limit, TimeUnit.SECONDS)) {
            throw new IllegalStateException("the start takes too long");
        }
        synchronized (seen) {
            gap = true; // a tick of the old connection may have come late
        }
        if (!hub.invoke("Join").blockingAwait(limit, TimeUnit.SECONDS)) {
            throw new IllegalStateException("Join is not answered");
        }
    }

    private void live() {
        try {
            for (int n = 0; !stopping; Thread.sleep(pause)) {
                if (hub.getConnectionState() != HubConnectionState.CONNECTED) {
                    comeBack();
                    continue;
                }
                call(++n);
            }
        } catch (InterruptedException e) {
            wrong(e.toString());
        }
    }

    /** A call may fail only where the connection ends. */
    private void call(int n) throws InterruptedException {
        try {
            int got = hub.invoke(Integer.class, "Work", n).timeout(LIMIT, TimeUnit.SECONDS).blockingGet();
            synchronized (seen) {
                seen.calls++;
                if (got != n) {
                    seen.wrong.add("Work(" + n + ") = " + got);
                }
            }
        } catch (RuntimeException e) {
            synchronized (seen) {
                seen.failed++;
            }
            long end = System.currentTimeMillis() + PATIENCE;
            while (System.currentTimeMillis() < end && hub.getConnectionState() == HubConnectionState.CONNECTED && !stopping) {
                Thread.sleep(50);
            }
            if (hub.getConnectionState() == HubConnectionState.CONNECTED && !stopping) {
                wrong("a call failed outside any gap: " + e.getMessage());
            }
        }
    }

    private void comeBack() throws InterruptedException {
        long began = System.currentTimeMillis();
        synchronized (seen) {
            seen.gaps++;
        }
        for (;;) {
            try {
                connect(LIMIT);
                break;
            } catch (RuntimeException e) {
                if (System.currentTimeMillis() - began > AWAY) {
                    wrong("closed for good: " + e.getMessage());
                    stopping = true;
                    return;
                }
                Thread.sleep(500);
            }
        }
        synchronized (seen) {
            seen.longest = Math.max(seen.longest, System.currentTimeMillis() - began);
        }
    }

    private void wrong(String what) {
        synchronized (seen) {
            seen.wrong.add(what);
        }
    }
}
