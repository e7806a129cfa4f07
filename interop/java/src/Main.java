import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Observable;
import io.reactivex.rxjava3.core.Single;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Plays the cases of interop/internal/cases with Microsoft's client.
 *
 * <p>Main URL LEFT-OUT...: the URL of a node and the cases that this version does not play. Each other case prints one
 * line of JSON: the mode, the case, and what the client got, or how the case failed.
 */
public final class Main {
    private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
    private static final Client.Mode[] MODES = {
        new Client.Mode("WebSockets json", TransportEnum.WEBSOCKETS, false),
        new Client.Mode("WebSockets json without negotiation", TransportEnum.WEBSOCKETS, true),
        new Client.Mode("LongPolling json", TransportEnum.LONG_POLLING, false),
    };

    private final String node;
    private final Client.Mode mode;
    private final Set<String> leftOut;
    private final List<Client> started = new ArrayList<>();

    private Main(String node, Client.Mode mode, Set<String> leftOut) {
        this.node = node;
        this.mode = mode;
        this.leftOut = leftOut;
    }

    public static void main(String[] args) {
        Set<String> leftOut = new HashSet<>(Arrays.asList(args).subList(1, args.length));
        for (Client.Mode mode : MODES) {
            new Main(args[0], mode, leftOut).all();
        }
        System.exit(0); // the client's threads stay for a minute
    }

    private void all() {
        play("results of calls", this::calls);
        play("an object", this::object);
        play("calls side by side", this::sideBySide);
        play("a send", this::send);
        play("many messages", this::many);
        play("a big result", () -> client().invoke(String.class, "Text", 100_000).length());
        play("errors of calls", this::errors);
        play("a stream", () -> List.of(client().items(Integer.class, "Counter", 5, 0), client().items(String.class, "Letters", 3), client().items(Integer.class, "Counter", 0, 0)));
        play("a stream that fails", () -> client().items(Integer.class, "CounterThenThrow", 2, "x"));
        play("a stream that is cancelled", this::cancelled);
        play("uploads", this::uploads);
        play("an upload without a result", this::uploadWithoutResult);
        play("an upload that fails", () -> client().invoke(String.class, "Failure", Observable.concat(Observable.just(1), Observable.error(new RuntimeException("upload failed")))));
        play("client results", this::clientResults);
        play("a question without handler", this::noHandler);
        play("groups", this::groups);
        play("users", this::users);
        play("all, others and the caller", this::everybody);
        play("the connection's id", this::connectionId);
        play("the transport", () -> mode.name.startsWith(client().invoke(String.class, "Transport")));
        play("a stop", this::stop);
        play("the server aborts", this::abort);
        play("the server refuses", this::refused);
    }

    private void play(String name, Callable<Object> body) {
        if (leftOut.contains(mode.name + "/" + name)) {
            return;
        }
        JsonObject line = new JsonObject();
        line.addProperty("mode", mode.name);
        line.addProperty("case", name);
        try {
            line.add("got", GSON.toJsonTree(body.call()));
        } catch (Throwable e) {
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            line.addProperty("error", trace.toString());
        }
        for (Client c : started) {
            c.stop();
        }
        started.clear();
        System.out.println(GSON.toJson(line));
    }

    private Client client() {
        return client("");
    }

    /** A started client, with a query for its URL. */
    private Client client(String query) {
        Client c = new Client(mode, node + "/hub" + query).start();
        started.add(c);
        c.call("Nothing"); // before it is answered, the hub may not know the client
        return c;
    }

    private Object calls() {
        Client c = client();
        c.call("Nothing");
        return Arrays.asList(
                c.invoke(Integer.class, "Add", 1, 2),
                c.invoke(Long.class, "AddLong", -1L, 4294967296L),
                c.invoke(Integer.class, "EchoByte", 255),
                c.invoke(Double.class, "EchoDouble", 0.1),
                c.invoke(String.class, "Echo", "grüße \"<&>' \\ / \u2028 \uD83D\uDE80"),
                c.invoke(String.class, "echo", ""));
    }

    private Object object() {
        JsonObject sample = client().invoke(JsonElement.class, "MakeSample").getAsJsonObject();
        return List.of(sample.get("int"), sample.get("text"), sample.get("list"), sample.get("map"));
    }

    private Object sideBySide() {
        Client c = client();
        List<Single<Integer>> calls = IntStream.range(0, 100).mapToObj(i -> c.hub.invoke(Integer.class, "Add", i, 1)).collect(Collectors.toList());
        return Single.concat(calls).toList().timeout(Client.LIMIT, TimeUnit.SECONDS).blockingGet().stream().mapToInt(Integer::intValue).sum();
    }

    private Object send() throws InterruptedException {
        Client c = client();
        c.hub.send("SendCaller", "M", "sent");
        return c.next();
    }

    private Object many() throws InterruptedException {
        Client c = client();
        c.call("SendCallerOften", 1000, "M", "often");
        List<String> got = c.received(1001);
        return List.of(got.size(), got.get(got.size() - 1));
    }

    private Object errors() {
        Client c = client();
        return List.of(
                Client.error(c.hub.invoke(String.class, "NoSuchMethod")),
                Client.error(c.hub.invoke(Integer.class, "Add", 1)),
                Client.error(c.hub.invoke(Integer.class, "Add", "one", "two")),
                Client.error(c.hub.invoke(String.class, "Throw", "secret")),
                Client.error(c.hub.invoke(String.class, "ThrowHubException", "for all")),
                Client.error(c.hub.invoke(String.class, "OnlyUsers")),
                c.invoke(String.class, "Echo", "still here"));
    }

    private Object cancelled() {
        Client c = client();
        List<Integer> first = c.hub.stream(Integer.class, "Counter", 100_000, 1).take(3).toList().timeout(Client.LIMIT, TimeUnit.SECONDS).blockingGet();
        return List.of(first, c.invoke(String.class, "Echo", "still here"));
    }

    private Object uploads() {
        Client c = client();
        return List.of(
                c.invoke(String.class, "Concat", Observable.just("a", "b", "c")),
                c.invoke(Integer.class, "Sum", Observable.range(1, 100)),
                c.invoke(String.class, "Concat", Observable.empty()),
                c.invoke(String.class, "Zip", Observable.just("a", "b"), "-", Observable.just("1", "2")),
                c.items(String.class, "EchoStream", Observable.just("x", "y")));
    }

    private Object uploadWithoutResult() {
        Client c = client();
        c.hub.send("Concat", Observable.just("a", "b"));
        return c.invoke(String.class, "Echo", "still here");
    }

    private Object clientResults() {
        Client a = client(), b = client();
        b.hub.onWithResult("Ask", q -> Single.just("answer to " + q), String.class);
        b.hub.onWithResult("AskLater", q -> Single.just("late answer to " + q).delay(5, TimeUnit.MILLISECONDS), String.class);
        b.hub.onWithResult("AskInt", () -> Single.just(42));
        b.hub.<String, String>onWithResult("AskFails", q -> Single.error(new RuntimeException("client says no")), String.class);
        String id = b.invoke(String.class, "ConnectionId");
        return List.of(
                a.invoke(String.class, "Ask", id, "Ask", "q"),
                a.invoke(String.class, "Ask", id, "AskLater", "q"),
                a.invoke(Integer.class, "AskInt", id, "AskInt"),
                Client.error(a.hub.invoke(String.class, "Ask", id, "AskFails", "q")));
    }

    private Object noHandler() {
        Client c = client();
        return Client.error(c.hub.invoke(String.class, "Ask", c.invoke(String.class, "ConnectionId"), "NoHandler", "q"));
    }

    private Object groups() throws InterruptedException {
        Client a = client(), b = client(), c = client();
        String group = "java " + a.invoke(String.class, "ConnectionId");
        a.call("Join", group);
        b.call("Join", group);
        c.call("SendGroup", group, "M", "to both");
        List<Object> both = List.of(a.received(1), b.received(1), c.received(0));
        a.call("Leave", group);
        a.call("SendGroup", group, "M", "to one");
        List<Object> one = List.of(a.received(0), b.received(1), c.received(0));
        b.call("SendOthersInGroup", group, "M", "to nobody");
        return List.of(both, one, List.of(a.received(0), b.received(0), c.received(0)));
    }

    private Object users() throws InterruptedException {
        String user = "java" + System.nanoTime();
        Client a = client("?user=" + user), b = client("?user=" + user), c = client();
        c.call("SendUser", user, "M", "hi");
        return List.of(List.of(a.received(1), b.received(1), c.received(0)), a.invoke(String.class, "UserIdentifier").equals(user));
    }

    private Object everybody() throws InterruptedException {
        Client a = client(), b = client();
        a.call("SendAll", "M", "all");
        a.call("SendOthers", "M", "others");
        a.call("SendCaller", "M", "caller");
        return List.of(sorted(a.received(2)), sorted(b.received(2)));
    }

    /** Over Redis messages need not come in order. */
    private static List<String> sorted(List<String> texts) {
        return texts.stream().sorted().collect(Collectors.toList());
    }

    private Object connectionId() {
        Client c = client();
        String id = c.invoke(String.class, "ConnectionId"), known = c.hub.getConnectionId();
        return id.length() == 22 && (mode.skipNegotiation ? known == null || known.isEmpty() : id.equals(known));
    }

    /** What OnDisconnected was given of a connection. */
    private Object ended(String id) throws Exception {
        HttpClient http = HttpClient.newHttpClient();
        for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(Client.LIMIT); System.nanoTime() < end; ) {
            String all = http.send(HttpRequest.newBuilder(URI.create(node + "/api/ended")).build(), HttpResponse.BodyHandlers.ofString()).body();
            Map<?, ?> texts = GSON.fromJson(all, Map.class);
            if (texts.containsKey(id)) {
                return texts.get(id);
            }
            Thread.sleep(10);
        }
        return "not called";
    }

    private Object stop() throws Exception {
        Client c = client();
        String id = c.invoke(String.class, "ConnectionId");
        c.stop();
        String closed = c.closed.get(Client.LIMIT, TimeUnit.SECONDS);
        // Its last poll may come after its DELETE; then the client takes the answer 404 for an error.
        boolean known = closed.equals("null") || mode.transport == TransportEnum.LONG_POLLING;
        return known ? ended(id) : "the client is told " + closed;
    }

    private Object abort() throws Exception {
        Client c = client();
        String id = c.invoke(String.class, "ConnectionId");
        c.hub.send("Abort");
        c.closed.get(Client.LIMIT, TimeUnit.SECONDS);
        return ended(id);
    }

    private Object refused() throws Exception {
        Client c = new Client(mode, node + "/hub?connected=throw");
        try {
            c.start();
        } catch (RuntimeException e) {
            return e.getMessage();
        }
        return c.closed.get(Client.LIMIT, TimeUnit.SECONDS);
    }
}
