// Stateful reconnect: the network breaks after each byte of a dialogue in turn.
import { it } from "./lib/client.mjs";
import { everywhere, stateful } from "./lib/cut.mjs";
import { node } from "./lib/node.mjs";

for (const mode of stateful) {
    it(`${mode.name}: a cut after each byte`, async () => {
        const { url } = await node();
        await everywhere(mode, url, (c, _, text) => c.send("SendCaller", "M", text));
    }, { timeout: 200000 });
}
