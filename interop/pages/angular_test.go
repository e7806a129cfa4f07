package pages

import (
	"fmt"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// tsc does not look into the templates of Angular's components; Angular's own
// parser does.
func TestTheTemplatesOfThePagesParse(t *testing.T) {
	dir := folderWith(t, harness.Modules(t, "."))
	inCode := regexp.MustCompile("(?s)template: `(.*?)`")
	var args []string
	for _, page := range pagesWith(t, "ts") {
		for _, code := range harness.Blocks(t, page, "ts") {
			for _, m := range inCode.FindAllStringSubmatch(code, -1) {
				name := fmt.Sprintf("template%d.html", len(args))
				write(t, dir, name, m[1])
				args = append(args, name)
			}
		}
	}
	if len(args) == 0 {
		t.Fatal("no page has a template")
	}
	write(t, dir, "parse.mjs", `import { parseTemplate } from "@angular/compiler";
import fs from "node:fs";
for (const file of process.argv.slice(2))
    for (const error of parseTemplate(fs.readFileSync(file, "utf8"), file).errors ?? []) console.log(String(error));
`)
	harness.Prints(t, harness.Script(t, dir, filepath.Join(dir, "parse.mjs"), args...), limit, "")
}
