package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/hubwire/hubwire/internal/transport"
)

// private are types of which only the named files touch the fields.
var private = map[string][]string{
	"leader":         {"leader.go", "watch.go"},
	"inbox":          {"inbox.go"},
	"rareOfInbox":    {"inbox.go"},
	"permits":        {"permits.go"},
	"invocationPool": {"pool.go"},
}

// exceptions are set or read elsewhere.
var exceptions = []string{
	"inbox.over",           // atomic, and read by every goroutine that begins something
	"invocationPool.reuse", // set where a hub is made
}

// noPackages imports nothing: what other packages declare is unknown, and does
// not matter here.
type noPackages struct{}

func (noPackages) Import(name string) (*types.Package, error) {
	p := types.NewPackage(name, path.Base(name))
	p.MarkComplete()
	return p, nil
}

func TestOnlyTheFilesOfTheLeaderReachWhatItOwns(t *testing.T) {
	fset := token.NewFileSet()
	var files []*ast.File
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
	conf := types.Config{Importer: noPackages{}, Error: func(error) {}}
	pkg, _ := conf.Check("server", fset, files, info)
	fields := map[types.Object]string{} // of private types: "type.field"
	for name := range private {
		of := pkg.Scope().Lookup(name).Type().Underlying().(*types.Struct)
		for i := range of.NumFields() {
			fields[of.Field(i)] = name + "." + of.Field(i).Name()
		}
	}
	uses := 0
	for sel, s := range info.Selections {
		field, ok := fields[s.Obj()]
		if !ok {
			continue
		}
		uses++
		name, _, _ := strings.Cut(field, ".")
		if at := fset.Position(sel.Sel.Pos()); !slices.Contains(private[name], filepath.Base(at.Filename)) && !slices.Contains(exceptions, field) {
			t.Errorf("%s touches %s, which belongs to %v", at, field, private[name])
		}
	}
	if uses < 100 {
		t.Errorf("found only %d uses of fields of %d types", uses, len(private))
	}
}

// An idle client keeps one of these, beside what package transport tests: with
// 50,000 of them each size class more is a megabyte and a half.
func TestSizeOfAConnection(t *testing.T) {
	const sizeClass = 320 // of the allocator
	if got := unsafe.Sizeof(connection{}); unsafe.Sizeof(uintptr(0)) == 8 && got > sizeClass {
		t.Errorf("a connection has %d bytes, want at most %d", got, sizeClass)
	}
}

// A LifetimeManager is given connections as Receivers. It must not be able to
// call what only their transports call.
func TestAReceiverHasNoMethodOfItsTransport(t *testing.T) {
	receiver := reflect.TypeFor[*connection]()
	for _, app := range []reflect.Type{
		reflect.TypeFor[transport.App](), reflect.TypeFor[transport.Reconnector](),
		reflect.TypeFor[transport.SlowApp](), reflect.TypeFor[transport.Refresher](),
	} {
		for i := range app.NumMethod() {
			if name := app.Method(i).Name; !reflect.TypeFor[*hubApp]().Implements(app) {
				t.Errorf("hubApp is no %v", app)
			} else if _, ok := receiver.MethodByName(name); ok {
				t.Errorf("%v has %s of %v", receiver, name, app)
			}
		}
	}
}
