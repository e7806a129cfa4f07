package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/hubwire/hubwire/server/hubgen"
)

// A userPackage is the package that declares the hub.
type userPackage struct {
	Dir, ImportPath, Name string
	GoFiles               []string
	Module                *struct{ Dir string }

	hub     string
	options string   // the exported variable or function that has the hub's options; "" for none
	call    bool     // options is a function
	clients []string // exported variables that may be client methods

	function  string // of package hubgen
	packed    bool   // for clients that speak MessagePack
	namespace string // of C#; "" for that of hubgen
	info      hubgen.Info
}

// load asks the go tool for the package in dir and looks for the hub in it.
func load(ctx context.Context, dir, hub, options string) (*userPackage, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not the folder of a package", dir)
	}
	out, err := goTool(ctx, dir, "list", "-json=Dir,ImportPath,Name,GoFiles,Module", ".")
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", dir, err)
	}
	p := &userPackage{hub: hub, options: options}
	if err := json.Unmarshal(out, p); err != nil {
		return nil, fmt.Errorf("load %s: %w", dir, err)
	}
	switch {
	case p.Name == "main":
		return nil, fmt.Errorf("%s is a program, which no other can import; move %s to a package of its own", p.ImportPath, hub)
	case p.Module == nil:
		return nil, fmt.Errorf("%s is in no module", p.ImportPath)
	case !token.IsIdentifier(hub) || !token.IsExported(hub):
		return nil, fmt.Errorf("-type %q is not the name of an exported type", hub)
	case options != "" && (!token.IsIdentifier(options) || !token.IsExported(options)):
		return nil, fmt.Errorf("-options %q is not the name of an exported variable or function", options)
	}
	return p, p.scan()
}

// scan finds the hub, its options and the exported variables of the package.
func (p *userPackage) scan() error {
	found, configured := false, p.options == ""
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == p.options {
				configured, p.call = true, true
			}
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.Name != p.hub {
						continue
					}
					if spec.TypeParams != nil {
						return fmt.Errorf("%s.%s has type parameters; give an instance of it a name", p.ImportPath, p.hub)
					}
					found = true
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						configured = configured || n.Name == p.options
						if n.IsExported() && mayBeClient(spec) {
							p.clients = append(p.clients, n.Name)
						}
					}
				}
			}
		}
	}
	if !found {
		return fmt.Errorf("package %s has no type %s", p.ImportPath, p.hub)
	}
	if !configured {
		return fmt.Errorf("package %s has no variable or function %s", p.ImportPath, p.options)
	}
	slices.Sort(p.clients)
	return nil
}

// mayBeClient reports whether the declaration's type is a ClientMethod or a
// ClientFunction, or its value a conversion to one.
func mayBeClient(spec *ast.ValueSpec) bool {
	candidates := []ast.Expr{spec.Type}
	for _, v := range spec.Values {
		if call, ok := v.(*ast.CallExpr); ok {
			candidates = append(candidates, call.Fun)
		}
	}
	return slices.ContainsFunc(candidates, func(e ast.Expr) bool {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		}
		if s, ok := e.(*ast.SelectorExpr); ok {
			return strings.HasPrefix(s.Sel.Name, "ClientMethod") || strings.HasPrefix(s.Sel.Name, "ClientFunction")
		}
		return false
	})
}

var program = template.Must(template.New("").Parse(`// A program of hubgen, which removes it.
package main

import (
	"fmt"
	"os"

{{if .Packed}}	"github.com/hubwire/hubwire/protocol"
{{end}}	"github.com/hubwire/hubwire/server/hubgen"
	hub {{printf "%q" .ImportPath}}
)

func main() {
	source, err := hubgen.ReadSource({{printf "%q" .Dir}})
	if err == nil {
		err = hubgen.{{.Function}}(os.Stdout, new(hub.{{.Hub}}), {{.Options}}, source{{if .Packed}}, protocol.MessagePack{}{{end}}{{with .Namespace}}, hubgen.Namespace({{printf "%q" .}}){{end}}, {{.Info}}{{range .Clients}}, hub.{{.}}{{end}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`))

// generate runs the program in a folder beside the package, so that it may
// import internal packages too. The go tool's patterns match no folder whose
// name begins with a dot.
func (p *userPackage) generate(ctx context.Context) (out []byte, err error) {
	dir, err := os.MkdirTemp(p.Dir, ".hubgen")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	options := "nil"
	if p.options != "" {
		options = "hub." + p.options
	}
	if p.call {
		options += "()"
	}
	var text bytes.Buffer
	err = program.Execute(&text, map[string]any{
		"ImportPath": p.ImportPath, "Dir": p.Dir, "Function": p.function, "Packed": p.packed, "Namespace": p.namespace, "Info": fmt.Sprintf("%#v", p.info),
		"Hub": p.hub, "Options": options, "Clients": p.clients,
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	out, err = goTool(ctx, p.Dir, "run", filepath.Join(dir, "main.go"))
	if err != nil {
		return nil, fmt.Errorf("generate for %s.%s: %w", p.ImportPath, p.hub, err)
	}
	return out, nil
}

// goTool runs the go tool in dir; its error carries what the tool printed.
func goTool(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
