package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// private are types of which only the named files touch the fields.
var private = map[string][]string{
	"leader":         {"leader.go", "watch.go"},
	"inbox":          {"inbox.go"},
	"permits":        {"permits.go"},
	"invocationPool": {"pool.go"},
}

// exceptions are set or read elsewhere.
var exceptions = []string{
	"inbox.over",           // atomic, and read by whoever begins something
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
