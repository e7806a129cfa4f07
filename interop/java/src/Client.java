import com.microsoft.signalr.HttpHubConnectionBuilder;
import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Observable;
import io.reactivex.rxjava3.core.Single;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A client of the library that remembers what its method M was called with. */
final class Client {
    /** Bounds each wait, in seconds. The first start takes longest: it loads the library. */
    static final int LIMIT = 90;

    final HubConnection hub;
    /** The text of the error that the connection has ended with, or "null". */
    final CompletableFuture<String> closed = new CompletableFuture<>();
    private final BlockingQueue<String> received = new LinkedBlockingQueue<>();

    /** A client that has not been started. */
    Client(Mode mode, String url) {
        HttpHubConnectionBuilder builder = HubConnectionBuilder.create(url);
        if (mode.skipNegotiation) {
            builder.shouldSkipNegotiate(true);
        }
        hub = builder.withTransport(mode.transport).build();
        hub.on("M", received::add, String.class);
        hub.onClosed(e -> closed.complete(e == null ? "null" : e.getMessage()));
    }

    Client start() {
        if (!hub.start().blockingAwait(LIMIT, TimeUnit.SECONDS)) {
            throw new IllegalStateException("the start takes too long");
        }
        return this;
    }

    <T> T invoke(Class<T> type, String method, Object... args) {
        return hub.invoke(type, method, args).timeout(LIMIT, TimeUnit.SECONDS).blockingGet();
    }

    /** Calls a method without a result. */
    void call(String method, Object... args) {
        if (!hub.invoke(method, args).blockingAwait(LIMIT, TimeUnit.SECONDS)) {
            throw new IllegalStateException(method + " is not answered");
        }
    }

    /** The text of the error of a call. */
    static String error(Single<?> call) {
        try {
            return "no error but " + call.timeout(LIMIT, TimeUnit.SECONDS).blockingGet();
        } catch (RuntimeException e) {
            return e.getMessage();
        }
    }

    /** All items of a stream, and then the text of the error if there is one. */
    <T> List<Object> items(Class<T> type, String method, Object... args) {
        Observable<Object> items = hub.stream(type, method, args).cast(Object.class);
        return items.onErrorReturn(Throwable::getMessage).timeout(LIMIT, TimeUnit.SECONDS).toList().blockingGet();
    }

    /**
     * What M was called with: what was sent before has come once the server has handled a call of this client, and from
     * another node a little later, if so many messages are expected.
     */
    List<String> received(int expected) throws InterruptedException {
        List<String> all = new ArrayList<>();
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT);
        do {
            call("SendCaller", "M", "end");
            for (String text = next(); !text.equals("end"); text = next()) {
                all.add(text);
            }
        } while (all.size() < expected && System.nanoTime() < end);
        return all;
    }

    /** What M is called with next. */
    String next() throws InterruptedException {
        String text = received.poll(LIMIT, TimeUnit.SECONDS);
        if (text == null) {
            throw new IllegalStateException("no message has come");
        }
        return text;
    }

    void stop() {
        if (!hub.stop().blockingAwait(LIMIT, TimeUnit.SECONDS)) {
            throw new IllegalStateException("the stop takes too long");
        }
    }

    /** A transport, and whether the client asks the server for it first. */
    static final class Mode {
        final String name;
        final TransportEnum transport;
        final boolean skipNegotiation;

        Mode(String name, TransportEnum transport, boolean skipNegotiation) {
            this.name = name;
            this.transport = transport;
            this.skipNegotiation = skipNegotiation;
        }
    }
}
