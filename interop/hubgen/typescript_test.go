package hubgen

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server/hubgen"
)

// The compilers, by their scripts.
const (
	tsc = "node_modules/typescript/bin/tsc"
	ngc = "node_modules/@angular/compiler-cli/bundles/src/bin/ngc.js" // Angular's
)

// compile compiles files of dir, as strictly as there is, into scripts beside
// them.
func compile(t *testing.T, compiler, dir string, files ...string) {
	t.Helper()
	harness.LinkModules(t, harness.Modules(t, "."), dir)
	options := map[string]any{"types": []string{}}
	for _, name := range strings.Fields(`strict noUnusedLocals noUnusedParameters exactOptionalPropertyTypes noUncheckedIndexedAccess noImplicitOverride
		noPropertyAccessFromIndexSignature noImplicitReturns isolatedModules skipLibCheck`) {
		options[name] = true
	}
	options["target"], options["module"], options["moduleResolution"], options["lib"] = "es2022", "es2022", "bundler", []string{"es2022", "dom"}
	for name, value := range map[string]any{
		"package.json": map[string]any{"type": "module"},
		"tsconfig.json": map[string]any{
			"compilerOptions": options, "files": files, "angularCompilerOptions": map[string]any{"strictInjectionParameters": true},
		},
	} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	harness.Output(t, harness.Script(t, dir, filepath.Join(dir, compiler), "-p", "tsconfig.json"), limit)
}

// play runs a script, which prints "ok".
func play(t *testing.T, script string, args ...string) {
	t.Helper()
	harness.Prints(t, harness.Script(t, filepath.Dir(script), script, args...), limit, "ok")
}

func TestTypeScriptFitsTheOfficialClient(t *testing.T) {
	dir := t.TempDir()
	copyFiles(t, dir, golden+"/chat.ts", golden+"/chat.messagepack.ts", golden+"/chat.rxjs.ts", golden+"/chat.angular.ts", "typescript/use.ts")
	compile(t, ngc, dir, "use.ts", "chat.messagepack.ts", "chat.rxjs.ts", "chat.angular.ts")
}

func TestEveryTypeOfGeneratedTypeScriptGoesBothWays(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		t.Run(codec.Name(), func(t *testing.T) {
			dir := t.TempDir()
			copyFiles(t, dir, "roundtrip/typescript/scenario.ts")
			copyAs(t, filepath.Join(dir, "look.ts"), "roundtrip/typescript/look."+codec.Name()+".ts")
			write(t, filepath.Join(dir, "types.ts"), hubgen.TypeScript, &Types{}, codec, told, asked)
			compile(t, tsc, dir, "scenario.ts")
			play(t, filepath.Join(dir, "scenario.js"), serve(t, newTypes(scriptSample())), codec.Name())
		})
	}
}

func TestObservablesCallCancelReconnectAndRejoin(t *testing.T) {
	dir := t.TempDir()
	copyFiles(t, dir, "observables/scenario.ts", "observables/rxjs.ts")
	write(t, filepath.Join(dir, "types.ts"), hubgen.RxJS, &Types{}, protocol.MessagePack{}, told, asked)
	compile(t, tsc, dir, "rxjs.ts")
	play(t, filepath.Join(dir, "rxjs.js"), serve(t, newTypes(scriptSample())))
}

func TestTheServiceOfAngularCallsCancelsReconnectsAndRejoins(t *testing.T) {
	dir := t.TempDir()
	copyFiles(t, dir, "observables/scenario.ts", "observables/angular.ts")
	write(t, filepath.Join(dir, "types.ts"), hubgen.Angular, &Types{}, told, asked)
	compile(t, ngc, dir, "angular.ts")
	play(t, filepath.Join(dir, "angular.js"), serve(t, newTypes(scriptSample())))
}
