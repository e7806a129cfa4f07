// Validates documents with AsyncAPI's own schema: node validate.cjs FILE...
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const load = createRequire(process.cwd() + "/");
const ajv = new (load("ajv").default)({ strict: false, allErrors: true });
load("ajv-formats").default(ajv);
const valid = ajv.compile(load("@asyncapi/specs/schemas/3.0.0-without-$id.json"));
let faults = [];
for (const file of process.argv.slice(2)) {
  const document = JSON.parse(readFileSync(file, "utf8"));
  if (!valid(document)) faults.push(file, JSON.stringify(valid.errors.slice(0, 5), null, 1));
  const checks = new (load("ajv").default)({ strict: false });
  load("ajv-formats").default(checks);
  checks.addSchema({ $id: "http://document/", ...document });
  for (const name of Object.keys(document.channels.hub.messages)) {
    checks.compile({ $ref: "http://document/#/channels/hub/messages/" + name + "/payload" });
  }
}
console.log(faults.length === 0 ? "ok" : faults.join("\n"));
