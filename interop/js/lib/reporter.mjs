// A reporter of Node's test runner: one line of JSON for each test that ended, with the names of its suites.
export default async function* (source) {
    const names = [];
    let told = ""; // what the file wrote, which is the only trace of a rejection that nobody caught
    for await (const { type, data } of source) {
        if (type === "test:stderr" || type === "test:diagnostic") told = (told + data.message).slice(-4000);
        if (type === "test:start") { names.length = data.nesting; names[data.nesting] = data.name; }
        if (type !== "test:pass" && type !== "test:fail") continue;
        names[data.nesting] = data.name;
        const error = data.details.error?.cause ?? data.details.error;
        if (data.details.type === "suite" && (type === "test:pass" || data.details.error?.failureType === "subtestsFailed")) continue;
        yield JSON.stringify({
            names: names.slice(0, data.nesting + 1),
            passed: type === "test:pass",
            ms: data.details.duration_ms,
            skipped: String(data.skip ?? data.todo ?? ""), // the reason
            ...(type === "test:fail" && { error: String(error?.stack ?? error) + (data.nesting === 0 ? `\n${told}` : "") }),
        }) + "\n";
    }
}
