package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// mavenCopy is the goal of Maven that fetches packages, in a version that does
// not change by itself.
const mavenCopy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

// errPackages is the error of a build that did not get its packages.
var errPackages = errors.New("packages")

// JavaProgram compiles the sources in dir/src with the packages of dir/pom.xml,
// whose property is set as in "name=value", and returns the class path. The
// result is in the user's cache folder under a name that is a hash of all
// this. It needs java, javac and mvn, and skips as Need does if the packages
// cannot be fetched; sources that do not compile fail the test.
func JavaProgram(t testing.TB, dir, property string) string {
	t.Helper()
	Need(t, "java", "javac", "mvn")
	sources, err := readSources(dir, ".java", ".xml")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := built("java-programs", sources.hash(property, mavenCopy), func(from, to string) error {
		if err := sources.copy(from); err != nil {
			return err
		}
		return javaBuild(from, to, property)
	})
	if errors.Is(err, errPackages) {
		Missing(t, "%s of %s: %v", property, dir, err)
	}
	if err != nil {
		t.Fatalf("build %s with %s: %v", dir, property, err)
	}
	return filepath.Join(folder, "classes") + string(os.PathListSeparator) + filepath.Join(folder, "lib", "*")
}

func javaBuild(from, to, property string) error {
	lib := filepath.Join(to, "lib")
	if out, err := FetchBy(from, "mvn", "--batch-mode", "--quiet", mavenCopy, "-D"+property, "-DoutputDirectory="+lib); err != nil {
		return fmt.Errorf("%w: mvn: %w\n%s", errPackages, err, out)
	}
	files, err := filepath.Glob(filepath.Join(from, "src", "*.java"))
	if err != nil {
		return err
	}
	args := append([]string{"-encoding", "UTF-8", "-d", filepath.Join(to, "classes"), "-cp", filepath.Join(lib, "*")}, files...)
	if out, err := exec.Command("javac", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("javac: %w\n%s", err, out)
	}
	return nil
}
