package pages

import (
	"fmt"
	"os/exec"
	"regexp"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// tsc does not look into the templates of Angular's components; Angular's own
// parser does.
func TestTheTemplatesOfThePagesParse(t *testing.T) {
	dir := folderWith(t, harness.Modules(t, "."))
	inCode := regexp.MustCompile("(?s)template: `(.*?)`")
	args := []string{"parse.mjs"}
	for _, page := range pagesWith(t, "ts") {
		for _, code := range blocks(t, page, "ts") {
			for _, m := range inCode.FindAllStringSubmatch(code, -1) {
				name := fmt.Sprintf("template%d.html", len(args))
				write(t, dir, name, m[1])
				args = append(args, name)
			}
		}
	}
	if len(args) == 1 {
		t.Fatal("no page has a template")
	}
	write(t, dir, "parse.mjs", `import { parseTemplate } from "@angular/compiler";
import fs from "node:fs";
for (const file of process.argv.slice(2))
    for (const error of parseTemplate(fs.readFileSync(file, "utf8"), file).errors ?? []) console.log(String(error));
`)
	parse := exec.Command(harness.Tool(t, "node"), args...)
	parse.Dir = dir
	if out, err := harness.Run(t, parse, limit); err != nil || len(out) > 0 {
		t.Errorf("the templates: %v\n%s", err, out)
	}
}
