package hubgen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// A Source knows what reflection does not: the names of parameters and the doc
// comments. A nil *Source knows nothing, and parameters are arg1, arg2 and so on.
type Source struct {
	types   map[string]string   // type -> doc
	methods map[string]string   // Type.Method -> doc
	params  map[string][]string // Type.Method -> names
}

// ReadSource parses the Go files in dir, tests left out. Pass the result to
// TypeScript or CSharp. The error names the file that could not be parsed.
func ReadSource(dir string) (*Source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("hubgen: read source: %w", err)
	}
	s := &Source{map[string]string{}, map[string]string{}, map[string][]string{}}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("hubgen: read source: %w", err)
		}
		s.add(file)
	}
	return s, nil
}

func (s *Source) add(file *ast.File) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				t, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				text := t.Doc.Text()
				if text == "" {
					text = d.Doc.Text()
				}
				s.types[t.Name.Name] = strings.TrimSpace(text)
			}
		case *ast.FuncDecl:
			if d.Recv != nil && len(d.Recv.List) == 1 {
				s.addMethod(receiver(d.Recv.List[0].Type)+"."+d.Name.Name, d)
			}
		}
	}
}

func (s *Source) addMethod(key string, d *ast.FuncDecl) {
	s.methods[key] = strings.TrimSpace(d.Doc.Text())
	var names []string
	for _, field := range d.Type.Params.List {
		if len(field.Names) == 0 {
			names = append(names, "")
		}
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	s.params[key] = names
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	}
	return ""
}

func (s *Source) typeDoc(name string) string {
	if s == nil {
		return ""
	}
	return s.types[name]
}

func (s *Source) methodDoc(hub, method string) string {
	if s == nil {
		return ""
	}
	return s.methods[hub+"."+method]
}

func (s *Source) parameters(hub, method string) []string {
	if s == nil {
		return nil
	}
	return s.params[hub+"."+method]
}
