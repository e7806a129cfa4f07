package hubwire_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// snippetsNow is how many blocks of Go the pages have that are compiled here.
// Raise it with each new one: a block that is no longer seen is a failure.
const snippetsNow = 60

// pagesNotCompiled are pages whose blocks need modules that this one lacks.
var pagesNotCompiled = map[string]string{
	"docs/routers.md": "it imports chi, gorilla, gin and echo; interop/routers compiles it: TestTheSnippetsOfThePageAreCompiledCode",
}

// snippetImports are the packages that blocks use without an import.
var snippetImports = map[string]string{
	"azure":     module + "/azure",
	"backplane": module + "/backplane",
	"busotel":   module + "/backplane/otel",
	"hubgen":    module + "/server/hubgen",
	"hubtest":   module + "/hubtest",
	"jwtbearer": module + "/server/jwtbearer",
	"otel":      module + "/server/otel",
	"protocol":  module + "/protocol",
	"server":    module + "/server",

	"miniredis": "github.com/alicebob/miniredis/v2",
	"redis":     "github.com/redis/go-redis/v9",

	"context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http", "io": "io", "iter": "iter", "log": "log", "netip": "net/netip", "os": "os",
	"signal": "os/signal", "slices": "slices", "slog": "log/slog", "sql": "database/sql", "strconv": "strconv", "strings": "strings",
	"sync": "sync", "synctest": "testing/synctest", "syscall": "syscall", "testing": "testing", "time": "time",
}

const (
	packageClause = "package snippet\n"
	stubPage      = "snippetStubs"
)

// snippetStubs are declarations that blocks need and no block of their page has.
var snippetStubs = []string{
	"type Chat struct{}",
	"type PostHub struct{}",
	"var mux = http.NewServeMux()",
}

// snippet is a block of Go of a page: a whole file, or declarations, statements,
// or first those and then these.
type snippet struct {
	page     string
	line     int // of its first line of code
	declares []string
	files    []snippetFile
}

type snippetFile struct {
	code   string // without the package clause and imports, unless it is whole
	parsed *ast.File
}

// Every block of Go in the README and the documents compiles.
func TestSnippetsCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs go build")
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var stubs, all []*snippet
	for _, code := range snippetStubs {
		stubs = append(stubs, parseSnippet(t, stubPage, 1, code))
	}
	for _, page := range append(documents, "README.md", "SECURITY.md", "interop/README.md") {
		page = filepath.ToSlash(page)
		if why := pagesNotCompiled[page]; why != "" {
			t.Logf("%s is not compiled here: %s", page, why)
			continue
		}
		all = append(all, snippetsOf(t, page)...)
	}
	if len(all) < snippetsNow {
		t.Errorf("%d blocks of Go, want at least %d", len(all), snippetsNow)
	}
	buildSnippets(t, all, stubs)
}

// buildSnippets compiles each block as a package of its own, in one run. The
// packages are in no folder: an overlay shows them to go build. (go vet needs
// the folders.)
func buildSnippets(t *testing.T, all, stubs []*snippet) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	replace := make(map[string]string)
	args := []string{"build", "-overlay=" + filepath.Join(dir, "overlay.json")}
	for i, s := range all {
		folder := fmt.Sprintf("snippets/block%d", i)
		args = append(args, "./"+folder)
		for j, text := range s.program(slices.Concat(all, stubs)) {
			name := fmt.Sprintf("block%d_file%d.go", i, j)
			replace[filepath.Join(root, folder, name)] = write(name, []byte(text))
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write("overlay.json", overlay)
	out, err := exec.Command("go", args...).CombinedOutput()
	if err == nil {
		return
	}
	t.Errorf("go build: %v", err)
	seen := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		if !seen[line] && !strings.HasPrefix(line, "# ") { // a declaration is part of many packages
			t.Error(strings.TrimSpace(line))
		}
		seen[line] = true
	}
}

// snippetsOf returns the blocks of a page.
func snippetsOf(t *testing.T, page string) (found []*snippet) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	first := 0 // line of the block's code, none outside of blocks
	var block []string
	for i, line := range strings.Split(string(text), "\n") {
		fence := strings.TrimSpace(line)
		switch {
		case first == 0 && strings.HasPrefix(fence, "```go"):
			first, block = i+2, nil
		case first != 0 && fence == "```":
			found = append(found, parseSnippet(t, page, first, strings.Join(block, "\n")))
			first = 0
		default:
			block = append(block, line)
		}
	}
	if first != 0 {
		t.Errorf("%s:%d: the block has no end", page, first)
	}
	return found
}

// parseSnippet divides a block into declarations and statements: the longest
// run of paragraphs that is a file, and what comes after it.
func parseSnippet(t *testing.T, page string, line int, block string) *snippet {
	s := &snippet{page: page, line: line}
	if strings.HasPrefix(block, "package ") {
		if _, err := s.add("", s.at(0)+block); err != nil {
			t.Errorf("go/parser: %v", err)
		}
		return s
	}
	paragraphs := strings.SplitAfter(block, "\n\n")
	for n := len(paragraphs); n >= 0; n-- {
		declarations := strings.Join(paragraphs[:n], "")
		file, err := s.add(packageClause, s.at(0)+declarations)
		if err != nil {
			continue
		}
		for _, declaration := range file.Decls {
			s.declares = append(s.declares, declared(declaration)...)
		}
		if n < len(paragraphs) {
			s.addBody(t, s.at(strings.Count(declarations, "\n"))+strings.Join(paragraphs[n:], ""))
		}
		break
	}
	return s
}

// addBody makes statements the body of a function that returns an error, and
// uses the variables that they declare.
func (s *snippet) addBody(t *testing.T, statements string) {
	const head = "func _() error {\n"
	file, err := parse(packageClause + head + statements + "\n}\n")
	if err != nil {
		t.Errorf("go/parser: %v", err)
		return
	}
	uses := "return nil\n"
	body := file.Decls[0].(*ast.FuncDecl).Body.List
	if _, ends := body[len(body)-1].(*ast.ReturnStmt); ends {
		uses = ""
	}
	for _, statement := range body {
		for _, name := range variables(statement) {
			uses = fmt.Sprintf("_ = %s\n", name) + uses
		}
	}
	if _, err := s.add(packageClause, head+statements+"\n"+uses+"}\n"); err != nil {
		t.Errorf("go/parser: %v", err)
	}
}

// declared returns the names that a declaration gives to its package.
func declared(declaration ast.Decl) (names []string) {
	if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
		return []string{f.Name.Name}
	}
	general, _ := declaration.(*ast.GenDecl)
	if general == nil {
		return nil
	}
	for _, spec := range general.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			names = append(names, spec.Name.Name)
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// variables returns those that a statement declares.
func variables(statement ast.Stmt) (names []string) {
	switch statement := statement.(type) {
	case *ast.AssignStmt:
		for _, left := range statement.Lhs {
			if name, ok := left.(*ast.Ident); ok && name.Name != "_" && statement.Tok == token.DEFINE {
				names = append(names, name.Name)
			}
		}
	case *ast.DeclStmt:
		if statement.Decl.(*ast.GenDecl).Tok == token.VAR {
			names = declared(statement.Decl)
		}
	}
	return names
}

// add takes code as a file of the snippet, if it is one.
func (s *snippet) add(clause, code string) (*ast.File, error) {
	file, err := parse(clause + code)
	if err == nil {
		s.files = append(s.files, snippetFile{code, file})
	}
	return file, err
}

func parse(code string) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), "", code, parser.SkipObjectResolution)
}

// at is the comment that makes errors name the page and the line.
func (s *snippet) at(skipped int) string {
	return fmt.Sprintf("//line %s:%d\n", s.page, s.line+skipped)
}

// program returns the files of the block, and those of the blocks of its page
// or of the stubs whose declarations it needs.
func (s *snippet) program(others []*snippet) (texts []string) {
	needed := []*snippet{s}
	for i := 0; i < len(needed); i++ { // needed grows
		for _, file := range needed[i].files {
			texts = append(texts, file.text())
			if file.parsed.Name.Name != "snippet" {
				continue // a whole program
			}
			for node := range ast.Preorder(file.parsed) {
				name, ok := node.(*ast.Ident)
				declares := func(o *snippet) bool {
					return (o.page == s.page || o.page == stubPage) && slices.Contains(o.declares, name.Name)
				}
				if ok && !slices.ContainsFunc(needed, declares) {
					if j := slices.IndexFunc(others, declares); j >= 0 {
						needed = append(needed, others[j])
					}
				}
			}
		}
	}
	return texts
}

// text is the file with the imports that it needs.
func (f snippetFile) text() string {
	if len(f.parsed.Imports) > 0 || f.parsed.Name.Name != "snippet" {
		return f.code
	}
	var imports []string
	for node := range ast.Preorder(f.parsed) {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok && snippetImports[name.Name] != "" {
				imports = append(imports, fmt.Sprintf("import %s %q\n", name.Name, snippetImports[name.Name]))
			}
		}
	}
	slices.Sort(imports)
	return packageClause + strings.Join(slices.Compact(imports), "") + f.code
}
