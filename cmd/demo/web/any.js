// The button "Any node": one more client, whose requests a balancer gives to one node after the other.
import { reason } from "./client.js";
import { rooms } from "./chat.js";

const longest = 40; // rows that are shown
const colours = ["one", "two", "three", "four", "five"];

/** Shows the client behind the button. url is that of the balancer, nodes are all nodes. */
export function anyNode(url, nodes) {
    const section = document.querySelector(".any");
    if (!section) return;
    const find = (selector) => section.querySelector(selector);
    const colour = (name) => colours[nodes.findIndex((n) => n.name === name)] ?? "";
    let connection, requests; // while the client is there

    /** A cell of the table. A node has its colour. */
    const cell = (text, name) => {
        const td = document.createElement("td");
        td.textContent = text;
        td.className = name ? colour(name) : "";
        return td;
    };

    /** Shows a request, and once more when it has its answer. */
    const show = ({ number, method, what, node, owner, status }) => {
        const row = document.createElement("tr");
        row.dataset.number = number;
        row.dataset.node = node;
        const has = owner === "" ? ["none yet"] : owner === node ? [`${owner} itself`, owner] : [`${owner}: passed on`, owner];
        row.append(cell(number), cell(`${method} ${what}`), cell(node, node), cell(...has), cell(status || "waits …"));
        const old = find(`tr[data-number="${number}"]`);
        if (old) old.replaceWith(row);
        else find("tbody").prepend(row);
        find("tbody").children[longest]?.remove();
        find(".requests").hidden = false;
    };

    const say = (text, connected = false) => {
        find(".state").textContent = text;
        find(".state").classList.toggle("connected", connected);
        find(".hello").hidden = !connected;
    };

    const enter = async () => {
        for (const room of rooms) await connection.invoke("JoinGroup", room);
        const { node } = await connection.invoke("Enter", "Alan");
        say(`connected: ${node} has the connection`, true);
    };

    const connect = async () => {
        // The balancer shows a page the requests that have its word.
        const word = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16)).join("");
        const kind = find("select").selectedOptions[0];
        find("tbody").replaceChildren();
        say("connecting");
        requests = new EventSource(`${url}/requests?watch=${word}`);
        requests.onmessage = ({ data }) => show(JSON.parse(data));
        await new Promise((open, fail) => { requests.onopen = open; requests.onerror = () => fail(new Error("the balancer does not answer")); });
        connection = new signalR.HubConnectionBuilder()
            .withUrl(`${url}/hub?watch=${word}`, Number(kind.value))
            .configureLogging(signalR.LogLevel.None)
            .withAutomaticReconnect({ nextRetryDelayInMilliseconds: ({ previousRetryCount: n }) => Math.min(n * 500, 5000) })
            .build();
        const heard = (text) => { find(".heard").textContent = text; };
        connection.on("Said", (_room, name, text) => heard(`${name}: ${text}`));
        connection.on("ReceiveMessage", (name, text) => heard(`${name}: ${text}`));
        connection.on("PostPublished", (post) => heard(`published: ${post.title}`));
        for (const method of ["PeopleChanged", "NodeChanged", "receive"]) connection.on(method, () => {});
        connection.on("Question", () => "Whatever node it comes by: tea.");
        connection.onreconnecting(() => say("reconnecting"));
        connection.onreconnected(() => enter().catch((e) => say(reason(e))));
        connection.onclose(leave);
        await connection.start();
        await enter();
    };

    const leave = async () => {
        const left = connection, watched = requests;
        connection = requests = undefined;
        await left?.stop();
        watched?.close();
        find(".start").textContent = "Any node";
        find("select").disabled = false;
        say("");
    };

    find(".start").addEventListener("click", async () => {
        if (requests) return leave();
        find(".start").textContent = "Leave";
        find("select").disabled = true;
        try {
            await connect();
        } catch (e) {
            if (!requests) return; // the user has left meanwhile
            await leave();
            say(reason(e));
        }
    });
    find(".hello").addEventListener("click", async () => {
        try {
            await connection.invoke("Say", rooms[0], "hello, by way of any node");
        } catch (e) {
            find(".heard").textContent = reason(e);
        }
    });
    say("");
}
