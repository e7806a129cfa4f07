// One client on the page.
import { Chat, rooms } from "./chat.js";
import { Client, kinds, reason } from "./client.js";
import { sha256, upload } from "./upload.js";

const answerTime = 30_000; // as long as the hub waits, in milliseconds
const points = 120;        // of the chart

/** Shows a client, and returns it; it is not started yet. nodes are all nodes, pane says which client it is. */
export function showPane(nodes, pane) {
    const card = document.getElementById("pane").content.cloneNode(true).firstElementChild;
    document.getElementById("panes").append(card);
    card.id = `client-${pane.key}`;
    card.classList.toggle("other", pane.path !== "");
    const find = (selector) => card.querySelector(selector);
    // The other app is on one node only.
    const urls = pane.path === "" ? nodes.map((n) => `${n.url}/hub`) : [`${nodes[pane.home].url}${pane.path}/hub`];
    const client = new Client(urls, pane.path === "" ? pane.home : 0, kinds[pane.key === "B" ? 1 : 0]);
    const chat = new Chat(card);

    title(find, nodes, pane, client);
    facts(find, nodes, client, chat);
    person(find, pane, client);
    people(find, client);
    questions(find, client);
    uploads(find, client);
    chart(find, client);

    client.on("PostPublished", (post) => chat.tell("post", `Published: ${post.title}, ${new Date(post.publishedAt).toLocaleTimeString()}`));
    client.on("ReceiveMessage", (user, text) => chat.said(rooms[0], user, text));
    client.on("Said", (room, name, text) => chat.said(room, name, text));
    client.on("receive", (text) => chat.said(chat.looked, "somebody", text));
    find(".say").addEventListener("submit", (event) => {
        event.preventDefault();
        const text = find(".text").value.trim();
        if (text === "") return;
        find(".text").value = "";
        client.call("Say", chat.looked, text);
    });
    return client;
}

/** The heading, and the way to connect. */
function title(find, nodes, pane, client) {
    find("h2").textContent = pane.path !== "" ? "A client of another app" : nodes.length > 1 ? `Client ${pane.key}, at home on ${nodes[pane.home].name}` : `Client ${pane.key}`;
    if (pane.path !== "") other(find, nodes, pane, client);
    for (const kind of kinds) find(".kind").append(new Option(kind.name));
    find(".kind").selectedIndex = kinds.indexOf(client.kind);
    find(".kind").addEventListener("change", () => client.restart(kinds[find(".kind").selectedIndex]));
    find(".home").textContent = `Go back to ${nodes[pane.home].name}`;
    find(".home").addEventListener("click", () => client.restart());
    client.addEventListener("problem", ({ detail }) => {
        find(".problem").textContent = detail;
        find(".problem").hidden = detail === "";
    });
}

/** What only the client of the other app has. */
function other(find, nodes, pane, client) {
    const hint = document.createElement("p");
    hint.textContent = "It uses the same Redis with a prefix of its own: it hears nothing of the others, and they hear nothing of it.";
    find(".facts").before(hint);
    const button = find(".publish-there");
    button.hidden = false;
    button.addEventListener("click", async () => {
        try {
            const answer = await fetch(`${nodes[pane.home].url}${pane.path}/api/posts/7/publish`, { method: "POST" });
            client.say("problem", answer.ok ? "" : `The node answers ${answer.status}`);
        } catch (e) {
            client.say("problem", e.message);
        }
    });
}

/** What the client is connected to. The node and the transport are what the server says. */
function facts(find, nodes, client, chat) {
    let last; // the node that it was on
    client.addEventListener("state", () => {
        const { state } = client;
        find(".state").textContent = state;
        find(".state").classList.toggle("connected", state === "connected");
        find(".protocol").textContent = client.kind.protocol;
        if (state === "connected") return;
        find(".at").textContent = find(".transport").textContent = "–";
        find(".at").className = "at";
    });
    client.addEventListener("welcome", ({ detail: person }) => {
        find(".at").textContent = person.node;
        find(".at").className = `at ${["one", "two", "three", "four", "five"][nodes.findIndex((n) => n.name === person.node)] ?? ""}`;
        find(".transport").textContent = person.transport;
        find(".problem").hidden = true;
        if (last !== undefined && last !== person.node) chat.tell("note", `Now on ${person.node}, in the same rooms`);
        last = person.node;
    });
}

/** The name, and the rooms that the client enters on each node that it comes to. */
function person(find, pane, client) {
    find(".name").value = pane.user;
    const enter = async () => {
        const welcome = await client.call("Enter", find(".name").value);
        if (welcome) client.say("welcome", welcome);
    };
    client.addEventListener("entered", async () => {
        // A group is of a connection: a new one is in none.
        if (pane.path === "") for (const room of rooms) await client.call("JoinGroup", room);
        await enter();
    });
    find(".name").addEventListener("change", enter);
}

/** Who is here, on all nodes, and a question to each of them. */
function people(find, client) {
    let me;
    const reply = find(".reply");
    const ask = async ({ id, name }) => {
        reply.textContent = `${name} is asked …`;
        try {
            const answer = await client.connection.invoke("Ask", id, "Tea or coffee?");
            reply.textContent = `${name} answers: ${answer}`;
        } catch (e) {
            reply.textContent = `${name}: ${reason(e)}`;
        }
    };
    const row = (person) => {
        const item = document.createElement("li"), who = document.createElement("span"), where = document.createElement("small");
        who.className = "who";
        where.textContent = `${person.id === me ? " (this client)" : ""} ${person.node}, ${person.transport}`;
        who.append(person.name, where);
        item.append(who);
        if (person.id !== me) {
            const button = document.createElement("button");
            button.textContent = `Ask ${person.name}`;
            button.addEventListener("click", () => ask(person));
            item.append(button);
        }
        return item;
    };
    let latest = [];
    const show = () => find(".people").replaceChildren(...latest.map(row));
    client.on("PeopleChanged", (all) => { latest = all; show(); });
    client.addEventListener("welcome", ({ detail }) => { me = detail.id; show(); });
}

/** The server asks, the user answers. */
function questions(find, client) {
    const form = find(".question");
    let answer; // of the question that is shown
    client.on("Question", (from, question) => new Promise((resolve, reject) => {
        if (answer) return reject(new Error("another question comes first"));
        find(".from").textContent = from;
        find(".asked").textContent = question;
        form.hidden = false;
        const close = () => { clearTimeout(timer); form.hidden = true; find(".answer").value = ""; answer = undefined; };
        const timer = setTimeout(() => { close(); reject(new Error("no answer")); }, answerTime);
        answer = (text) => { close(); resolve(text); };
    }));
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (find(".answer").value.trim() !== "") answer?.(find(".answer").value.trim());
    });
}

function uploads(find, client) {
    const send = async (name, bytes) => {
        find(".upload").disabled = true;
        const bar = find("progress"), say = (text) => { find(".uploaded").textContent = text; };
        bar.value = 0;
        bar.max = Math.max(1, bytes.length);
        say(`${name} is on its way`);
        try {
            const sum = await upload(client, bytes, (received) => { bar.value = received; });
            const own = await sha256(bytes);
            if (own !== undefined && own !== sum) throw new Error("the node has other bytes");
            say(`${name} has arrived: SHA-256 ${sum.slice(0, 12)}…${own === undefined ? "" : ", the same here"}`);
        } catch (e) {
            say(`${name}: ${e.message}`);
        }
        find(".upload").disabled = false;
    };
    find(".upload").addEventListener("click", () => {
        const bytes = new Uint8Array(2_000_000);
        for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536)); // takes no more at once
        send("2 MB", bytes);
    });
    const file = find(".file input");
    file.addEventListener("change", async () => {
        if (file.files.length === 0 || find(".upload").disabled) return;
        const [chosen] = file.files;
        await send(chosen.name, new Uint8Array(await chosen.arrayBuffer()));
        file.value = "";
    });
}

/** A stream of the hub, begun again on each node that the client comes to. */
function chart(find, client) {
    let stream, wanted = false, values = [], items = 0;
    const draw = () => {
        const low = Math.min(...values), high = Math.max(...values), height = high - low || 1;
        find("polyline").setAttribute("points", values.map((v, i) => `${(i * 240 / (points - 1)).toFixed(1)},${(54 - (v - low) / height * 48).toFixed(1)}`).join(" "));
        find(".now").textContent = `${values.at(-1).toFixed(1)} MB`;
    };
    const begin = () => {
        stream = client.connection.stream("Memory").subscribe({
            next: (value) => {
                values = [...values, value].slice(-points);
                find("svg").dataset.items = ++items;
                draw();
            },
            complete: () => {},
            error: () => { stream = undefined; }, // the connection has ended: it begins again with the next one
        });
    };
    client.addEventListener("welcome", () => { if (wanted && !stream) begin(); });
    client.addEventListener("state", () => { if (client.state !== "connected") stream = undefined; });
    find(".chart").addEventListener("click", () => {
        wanted = !wanted;
        find(".chart").textContent = wanted ? "Stop the chart" : "Start the chart";
        if (wanted && client.state === "connected") begin();
        if (!wanted) { stream?.dispose(); stream = undefined; }
    });
}
