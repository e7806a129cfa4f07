// The page of the demo: nodes, and clients on them.
import { anyNode } from "./any.js";
import { showPane } from "./pane.js";

const config = JSON.parse(document.getElementById("config").textContent);
const nodes = config.nodes;
const clients = config.panes.map((pane) => showPane(nodes, pane));
const byID = (id) => document.getElementById(id);

/** Publishes by HTTP, as any program would, on the first node that runs. */
function publish() {
    const button = byID("publish"), said = byID("published");
    button.addEventListener("click", async () => {
        const { url, name } = nodes.find((n) => n.running);
        try {
            const answer = await fetch(`${url}/api/posts/42/publish`, { method: "POST" });
            said.textContent = answer.ok ? `sent by ${name}` : `${name} answers ${answer.status}`;
        } catch (e) {
            said.textContent = e.message;
        }
    });
}

/** Shows which nodes run. */
function showNodes() {
    const first = nodes.find((n) => n.running) ?? nodes[0];
    byID("request").textContent = `POST ${first.url}/api/posts/42/publish`;
    if (nodes.length < 2) return;
    nodes.forEach((node, i) => {
        const card = document.querySelector(`.node[data-node="${i + 1}"]`), state = card.querySelector(".state");
        card.querySelector(".address").textContent = node.url.replace("http://", "");
        state.textContent = node.running ? "runs" : "stopped";
        state.classList.toggle("running", node.running);
    });
    byID("switch").textContent = nodes[0].running ? "Stop node 1" : "Start node 1";
    // A client goes home when its user wants it to: nothing makes it leave a node that works.
    clients.forEach((client, i) => {
        const away = client.state === "connected" && client.node !== client.home && nodes[config.panes[i].home].running;
        document.querySelector(`#client-${config.panes[i].key} .home`).hidden = !away;
    });
}

/** The button and the key that stop and start node 1, by a request to node 2. */
function switches() {
    const button = byID("switch");
    if (!button) return;
    let busy = false;
    const act = async () => {
        if (busy) return;
        busy = true;
        const running = !nodes[0].running;
        button.textContent = running ? "Starting …" : "Stopping …";
        try {
            const answer = await fetch(`${nodes[1].url}/api/nodes/1/${running ? "start" : "stop"}`, { method: "POST" });
            if (!answer.ok) throw new Error((await answer.text()).trim());
            nodes[0].running = running;
            byID("published").textContent = "";
        } catch (e) {
            byID("published").textContent = e.message;
        }
        busy = false;
        showNodes();
    };
    button.addEventListener("click", act);
    document.addEventListener("keydown", (event) => {
        if (!event.altKey || event.ctrlKey || event.metaKey || event.code !== "KeyS") return;
        event.preventDefault();
        act();
    });
}

for (const client of clients) {
    client.addEventListener("state", showNodes);
    // Somebody else may have stopped the node: in the terminal, or on another page.
    client.on("NodeChanged", (name, running) => {
        const node = nodes.find((n) => n.name === name);
        if (node) node.running = running;
        showNodes();
    });
    client.start();
}
publish();
switches();
showNodes();
anyNode(config.anyNode, nodes);
