package hubwire_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// declarations are what the Go files of the repository declare, but for tests.
type declarations struct {
	functions map[string]map[string]*ast.FuncDecl // by file; "T.f", or "f"
	members   map[string]bool                     // "T.x" for fields and methods, "p.X" for what package p declares
	files     []string
}

func declare(t *testing.T) *declarations {
	t.Helper()
	d := &declarations{functions: map[string]map[string]*ast.FuncDecl{}, members: map[string]bool{}}
	for file, text := range goFiles(t) {
		if d.files = append(d.files, file); strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		d.functions[file] = map[string]*ast.FuncDecl{}
		for _, one := range f.Decls {
			switch one := one.(type) {
			case *ast.FuncDecl:
				name := one.Name.Name
				if one.Recv != nil {
					name = receiver(one.Recv.List[0].Type) + "." + name
					d.members[name] = true
				}
				d.members[f.Name.Name+"."+name] = true
				d.functions[file][name] = one
			case *ast.GenDecl:
				for _, spec := range one.Specs {
					d.addSpec(f.Name.Name, spec)
				}
			}
		}
	}
	return d
}

func (d *declarations) addSpec(pkg string, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			d.members[pkg+"."+name.Name] = true
		}
	case *ast.TypeSpec:
		d.members[pkg+"."+spec.Name.Name] = true
		var fields *ast.FieldList
		switch body := spec.Type.(type) {
		case *ast.StructType:
			fields = body.Fields
		case *ast.InterfaceType:
			fields = body.Methods
		default:
			return
		}
		for _, field := range fields.List {
			for _, name := range field.Names {
				d.members[spec.Name.Name+"."+name.Name] = true
			}
			if len(field.Names) == 0 { // embedded
				d.members[spec.Name.Name+"."+receiver(field.Type)] = true
			}
		}
	}
}

// receiver is the name of a type without its package, stars and type parameters.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// find returns the file of the repository whose path ends like name.
func (d *declarations) find(name string) string {
	for _, file := range d.files {
		if file == name || strings.HasSuffix(file, "/"+name) {
			return file
		}
	}
	return ""
}

func design(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A step is a row of a table of docs/design.md: functions, and where they are.
type step struct{ functions, files []string }

var stepRow = regexp.MustCompile(`(?m)^\| ((?:` + "`[\\w.]+`" + `(?:, )?)+) \| ([\w/]+\.go(?:, [\w/]+\.go)*) \| .* \|$`)

// ways returns the tables of steps in the order of the page, with folder before
// the names of files that have none.
func ways(text, folder string) (all [][]step) {
	for _, table := range strings.Split(text, "\n\n") {
		var way []step
		for _, m := range stepRow.FindAllStringSubmatch(table, -1) {
			files := strings.Split(m[2], ", ")
			for i, file := range files {
				if !strings.Contains(file, "/") {
					files[i] = path.Join(folder, file)
				}
			}
			way = append(way, step{strings.Split(strings.ReplaceAll(m[1], "`", ""), ", "), files})
		}
		if way != nil {
			all = append(all, way)
		}
	}
	return all
}

// The two ways of a message are as docs/design.md says: eight functions in four
// files at most, each of which calls the next one, but where another goroutine
// goes on.
func TestTheWayOfAMessageIsAsDesignSays(t *testing.T) {
	const most, mostFiles = 8, 4
	d, all := declare(t), ways(design(t), "server")
	if len(all) != 2 {
		t.Fatalf("%d tables of steps, want two", len(all))
	}
	for _, way := range all {
		var functions []*ast.FuncDecl
		var names, files []string
		for _, s := range way {
			for _, name := range s.functions {
				f := d.declared(s.files, name)
				if f == nil && !d.members[name] {
					t.Errorf("%s is not in %v", name, s.files)
				}
				functions, names = append(functions, f), append(names, name)
			}
			if file := s.files[0]; !slices.Contains(files, d.find(file)) { // the others have the same function for other cases
				files = append(files, d.find(file))
			}
		}
		if len(names) > most || len(files) > mostFiles {
			t.Errorf("%d functions in %d files, want at most %d in %d: %v in %v", len(names), len(files), most, mostFiles, names, files)
		}
		for i := range len(functions) - 1 {
			_, next, method := strings.Cut(names[i+1], ".")
			if !method {
				next = names[i+1]
			}
			if handsOver := names[i+1] == "flusher.finish"; functions[i] != nil && !handsOver && !calls(functions[i], next) {
				t.Errorf("%s does not call %s", names[i], names[i+1])
			}
		}
	}
}

// declared returns the function of one of the files.
func (d *declarations) declared(files []string, name string) *ast.FuncDecl {
	for _, file := range files {
		if f := d.functions[d.find(file)][name]; f != nil {
			return f
		}
	}
	return nil
}

func calls(f *ast.FuncDecl, name string) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && receiver(call.Fun) == name {
			found = true
		}
		return !found
	})
	return found
}

var (
	fileName = regexp.MustCompile(`[\w/-]*\w\.go\b`)
	selector = regexp.MustCompile("`([A-Za-z]\\w*\\.[A-Za-z]\\w*)`")
)

// What docs/design.md calls a file, a field or a method is one.
func TestDesignNamesWhatThereIs(t *testing.T) {
	d, text := declare(t), design(t)
	for _, name := range fileName.FindAllString(text, -1) {
		if d.find(name) == "" {
			t.Errorf("there is no file %s", name)
		}
	}
	for _, m := range selector.FindAllStringSubmatch(text, -1) {
		if name := m[1]; path.Ext(name) != ".go" && path.Ext(name) != ".md" && !d.members[name] {
			t.Errorf("nothing is called %s", name)
		}
	}
}

var (
	invariant = regexp.MustCompile(`(?m)^(\d+)\. ((?:.+\n)(?:    ?.+\n)*)`)
	// A package, a test, or an end after which the tests are those of server again.
	guardWord = regexp.MustCompile("(?:`([a-z][\\w/]*)`|(transport)|(the root)):\\s|`((?:Test|Fuzz|Benchmark)\\w+)[/`]|(;|\\.\\s)")
)

// Each invariant has a guard, which is in the package that the page says.
func TestEveryInvariantHasItsGuard(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("docs", "invariants.md"))
	if err != nil {
		t.Fatal(err)
	}
	guards := map[string][]string{} // names of tests by folder
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	for file, text := range goFiles(t) {
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(text, -1) {
				guards[path.Dir(file)] = append(guards[path.Dir(file)], m[1])
			}
		}
	}
	all := invariant.FindAllStringSubmatch(string(page), -1)
	if len(all) < 41 {
		t.Fatalf("%d invariants, want at least 41", len(all))
	}
	for i, m := range all {
		if m[1] != strconv.Itoa(i+1) {
			t.Errorf("the invariant after %d is number %s", i, m[1])
		}
		folder, found := "server", 0
		for _, w := range guardWord.FindAllStringSubmatch(m[2], -1) {
			switch {
			case w[1] != "":
				folder = w[1]
			case w[2] != "":
				folder = "internal/transport"
			case w[3] != "":
				folder = "."
			case w[4] == "":
				folder = "server"
			default:
				if found++; !slices.Contains(guards[folder], w[4]) {
					t.Errorf("invariant %s names %s, which is not in %s", m[1], w[4], folder)
				}
			}
		}
		if found == 0 {
			t.Errorf("invariant %s has no guard:\n%s", m[1], m[2])
		}
	}
}
