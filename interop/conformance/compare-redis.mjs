// Compares two recordings of redis.mjs, step by step, with ids replaced by names in order of appearance.
//   node compare-redis.mjs redis.json other.json     exit status 1 and the differences, if there are any
// Run from a folder whose node_modules has @microsoft/signalr-protocol-msgpack (and with it @msgpack/msgpack).
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const { decodeMulti } = createRequire(process.cwd() + "/")("@msgpack/msgpack");

const unordered = (list) => [...list].sort();

/** Gives each random id one name: client ids from the recording, others (servers, invocations) as they appear. */
function namer(ids) {
    const names = new Map(Object.entries(ids).map(([name, id]) => [id, `<${name}>`]));
    const serial = { server: 0, invocation: 0 };
    const known = (id, kind) => { if (!names.has(id)) names.set(id, `<${kind}${++serial[kind]}>`); return names.get(id); };
    const text = (s) => { for (const [id, name] of names) s = s.replaceAll(id, name); return s; };
    return { known, text };
}

function encoding(protocol, bytes, name) {
    if (protocol === "json") {
        const text = bytes.toString();
        for (const m of text.matchAll(/"invocationId":"([^"]+)"/g)) name.known(m[1], "invocation");
        return name.text(text);
    }
    let size = 0, at = 0;
    for (let shift = 0; ; shift += 7) { const b = bytes[at++]; size |= (b & 0x7f) << shift; if (!(b & 0x80)) break; }
    if (size !== bytes.length - at) return `length prefix ${size} of ${bytes.length - at} bytes`;
    const [body] = decodeMulti(bytes.subarray(at));
    if ((body[0] === 1 || body[0] === 3) && body[2]) name.known(body[2], "invocation");
    return name.text(JSON.stringify(body, (_, v) => (v instanceof Uint8Array ? `bytes ${Buffer.from(v).toString("hex")}` : v)));
}

function message({ channel, payload }, name) {
    const server = channel.match(/:internal:(?:ack|return):(.+)$/);
    if (server) name.known(server[1], "server");
    const bytes = Buffer.from(payload, "hex");
    const [items] = decodeMulti(bytes);
    let content;
    if (channel.endsWith(":internal:groups")) { name.known(items[1], "server"); content = name.text(JSON.stringify(items)); }
    else if (channel.includes(":internal:ack:")) content = JSON.stringify(items);
    else if (channel.includes(":internal:return:")) content = [items[0], encoding(items[0], Buffer.from(items[1]), name)];
    else {
        const encodings = Object.entries(items[1]).map(([p, b]) => [p, encoding(p, Buffer.from(b), name)]);
        content = [name.text(JSON.stringify(items[0])), encodings, ...items.slice(2).map((s) => { const m = s.match(/:internal:return:(.+)$/); if (m) name.known(m[1], "server"); return name.text(s); })];
    }
    return `${name.text(channel)} ${JSON.stringify(content)}`;
}

function readable(run) {
    const name = namer(run.ids);
    return run.steps.map((s) => ({
        step: s.step,
        result: name.text(JSON.stringify(s.result ?? null)),
        error: s.error ?? null,
        commands: unordered(s.commands.filter((c) => !c.includes("__Booksleeve_MasterChanged"))
            .flatMap((c) => { const [verb, ...channels] = c.match(/"((?:[^"\\]|\\.)*)"/g).map((w) => w.slice(1, -1)); return channels.map((ch) => `${verb.toUpperCase()} ${ch}`); })
            .map((c) => { const m = c.match(/:internal:(?:ack|return):(.+)$/); if (m) name.known(m[1], "server"); return name.text(c); })),
        messages: unordered(s.messages.map((m) => message(m, name))),
    }));
}

const [expected, actual] = process.argv.slice(2).map((f) => JSON.parse(readFileSync(f)).map((run) => ({ prefix: run.prefix, steps: readable(run) })));
let differences = 0, compared = 0;
for (const [i, run] of expected.entries()) {
    for (const [j, want] of run.steps.entries()) {
        const got = actual[i]?.steps[j] ?? {};
        for (const key of ["step", "result", "error", "commands", "messages"]) {
            compared++;
            if (JSON.stringify(want[key]) === JSON.stringify(got[key])) continue;
            differences++;
            console.log(`prefix '${run.prefix}', step '${want.step}', ${key}:\n  want ${JSON.stringify(want[key])}\n  got  ${JSON.stringify(got[key])}`);
        }
    }
}
console.log(`${compared} values compared, ${differences} differ`);
process.exitCode = differences ? 1 : 0;
