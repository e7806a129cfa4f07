import com.google.gson.Gson;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Clients of Microsoft's library for Java that live through a rolling restart: Main URL COUNT PAUSE. What clients.mjs says of itself
 * is true of this program, too, but for the reconnects: this library has none, so each client begins a new connection by itself.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws IOException, InterruptedException {
        List<Client> clients = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(args[1]); i++) {
            clients.add(new Client(args[0], i, Integer.parseInt(args[2])));
        }
        for (Client c : clients) {
            c.begin();
        }
        System.out.println("READY");
        while (System.in.read() >= 0) {}
        long end = System.currentTimeMillis() + Client.PATIENCE;
        while (System.currentTimeMillis() < end && !clients.stream().allMatch(Client::isOver)) {
            Thread.sleep(50);
        }
        for (Client c : clients) {
            System.out.println(new Gson().toJson(c.end()));
        }
        System.exit(0); // the library leaves threads behind
    }
}
