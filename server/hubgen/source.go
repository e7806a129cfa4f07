package hubgen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A Source knows what reflection does not: the names of parameters and the doc
// comments. A nil *Source knows nothing, and parameters are arg1, arg2 and so on.
//
// The arguments of a client method have no place in Go for their names; a
// comment at the end of the line of its declaration is read as these:
//
//	var ReceiveMessage = server.ClientMethod2[string, string]("ReceiveMessage") // user, text
type Source struct {
	types   map[string]string   // type -> doc
	methods map[string]string   // Type.Method -> doc
	params  map[string][]string // Type.Method -> names
	clients map[string]client   // the name of a client method
}

// A client is what a declaration of a client method says beside its types.
type client struct {
	doc  string
	args []string
}

// ReadSource parses the Go files in dir, tests left out. Pass the result to
// TypeScript or any of the others. The error names the file that could not be
// parsed.
func ReadSource(dir string) (*Source, error) {
	return readSource(os.DirFS(dir), dir)
}

// ReadSourceFS is ReadSource for the folder that files is. A program that
// describes its hubs while it runs embeds its source:
//
//	//go:embed *.go
//	var files embed.FS
func ReadSourceFS(files fs.FS) (*Source, error) {
	return readSource(files, "")
}

// readSource reads files, which are in dir as far as errors say.
func readSource(files fs.FS, dir string) (*Source, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("hubgen: read source %s: %w", dir, err)
	}
	s := &Source{map[string]string{}, map[string]string{}, map[string][]string{}, map[string]client{}}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return nil, fmt.Errorf("hubgen: read source: %w", err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), text, parser.ParseComments|parser.SkipObjectResolution)
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
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					s.types[spec.Name.Name] = docOf(spec.Doc, d)
				case *ast.ValueSpec:
					s.addClient(spec, docOf(spec.Doc, d))
				}
			}
		case *ast.FuncDecl:
			if d.Recv != nil && len(d.Recv.List) == 1 {
				s.addMethod(receiver(d.Recv.List[0].Type)+"."+d.Name.Name, d)
			}
		}
	}
}

// docOf is the comment of one declaration. That of a group in parentheses is
// for all in it, and for no single one.
func docOf(own *ast.CommentGroup, d *ast.GenDecl) string {
	if own == nil && !d.Lparen.IsValid() {
		own = d.Doc
	}
	return strings.TrimSpace(own.Text())
}

// addClient remembers what may be the declaration of a client method: a
// variable that is the conversion of a name.
func (s *Source) addClient(spec *ast.ValueSpec, doc string) {
	if len(spec.Values) != 1 {
		return
	}
	call, ok := spec.Values[0].(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	name, err := strconv.Unquote(literal.Value)
	if err != nil {
		return
	}
	s.clients[name] = client{doc, names(spec.Comment.Text())}
}

// names splits "user, text"; any other text is a comment like others, and nil.
func names(text string) (list []string) {
	for name := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		if name = strings.TrimSpace(name); !token.IsIdentifier(name) {
			return nil
		}
		list = append(list, name)
	}
	return list
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

// client is nothing for a client method that the source does not declare.
func (s *Source) client(name string) client {
	if s == nil {
		return client{}
	}
	return s.clients[name]
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
