// The same over Redis: what a client of another node sends arrives whole, wherever the network breaks. REDIS is its address.
import { connect, it } from "./lib/client.mjs";
import { everywhere, stateful } from "./lib/cut.mjs";
import { node } from "./lib/node.mjs";

for (const mode of stateful) {
    it(`${mode.name}: a cut after each byte, messages come from another node`, async () => {
        const flags = ["--redis", process.env.REDIS, "--prefix", `${mode.name}:`.replaceAll(" ", "")];
        const [near, far] = [await node(...flags), await node(...flags, "--detailed", "true")];
        const other = await connect(mode, far.url);
        await everywhere(mode, near.url, (_, id, text) => other.invoke("SendClient", id, "M", text));
    }, { timeout: 200000 });
}
