package hubtype

import (
	"bytes"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func TestThePackagesOfTheStandardLibraryAreToldFromThoseOfModules(t *testing.T) {
	built := []string{"blogapp", "text/of/ours", "github.com/hubwire/hubwire", "golang.org/x/net"}
	for _, test := range []struct {
		path    string
		modules []string
		want    bool
	}{
		{"sync", built, true},
		{"net/http", built, true},
		{"a/package/of/a/later/go", built, true},
		{"vendor/golang.org/x/net/http/httpguts", built, true},
		{"blogapp", built, false},
		{"blogapp/hubs", built, false},
		{"blogapp_test", built, false},
		{"blogapp/hubs_test", built, false},
		{"text/of/ours/hubs", built, false},
		{"text/template", built, true},
		{"main", built, false},
		{"", built, false},
		{"golang.org/x/net/html", built, false},
		{"github.com/other/hubs", built, false},
		{"sync", nil, true},
		{"net/http", nil, true},
		{"blogapp/hubs", nil, false},
		{"example.com/hubs", nil, false},
	} {
		if got := standardIn(test.path, test.modules); got != test.want {
			t.Errorf("standard(%q) with modules %v = %v", test.path, test.modules, got)
		}
	}
}

func TestEveryPackageOfThisGoIsStandardWithAndWithoutModules(t *testing.T) {
	out, err := exec.Command("go", "list", "std").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(bytes.TrimSpace(out))) {
		path = strings.TrimSpace(path)
		if !standardIn(path, nil) || !standardIn(path, []string{"blogapp"}) {
			t.Errorf("%s is taken for a package of a module", path)
		}
	}
}

type inner struct{}

func (inner) Inner() {}
func (inner) Lock()  {}

type outer struct {
	sync.Mutex
	inner
	reflect.Type // an interface
	bytes.Buffer
}

func (*outer) Reset() {}

func TestOnlyMethodsOfLibrariesAreLeftOut(t *testing.T) {
	ofLibraries := LibraryMethods(reflect.TypeFor[*outer]())
	for name, want := range map[string]bool{"Unlock": true, "NumMethod": true, "Write": true, "Inner": false, "Reset": false} {
		if ofLibraries[name] != want {
			t.Errorf("%s is a library's: %v, want %v", name, ofLibraries[name], want)
		}
	}
	if path := reflect.TypeFor[inner]().PkgPath(); !LibraryMethods(reflect.TypeFor[*outer](), path)["Inner"] {
		t.Error("Inner is not left out though its package is a library")
	}
}
