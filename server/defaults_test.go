package server

import (
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The defaults in the tables of docs/limits.md are those of the code.
func TestThePageOfLimitsHasTheDefaultsOfTheCode(t *testing.T) {
	page, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	opts := reflect.ValueOf(*(*Options)(nil).withDefaults())
	endpoint := reflect.ValueOf(EndpointOptions{}.transportOptions(nil, nil))
	row := regexp.MustCompile("(?m)^\\|(?: [^|]+ \\|)? `(Endpoint\\.)?(\\w+)`[^|]* \\| ([\\d,]+) ?(KiB|MiB|s|bytes|)[ ,;|]")
	checked := 0
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		options := opts
		if m[1] != "" {
			options = endpoint
		}
		field := options.FieldByName(m[2])
		if !field.IsValid() || field.Kind() == reflect.Pointer {
			continue // of another package, or a QueueLimit
		}
		n, err := strconv.ParseInt(strings.ReplaceAll(m[3], ",", ""), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		n *= map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "s": int64(time.Second), "bytes": 1, "": 1}[m[4]]
		if !field.CanInt() || field.Int() != n {
			t.Errorf("docs/limits.md says that %s%s is %s %s, the code %v", m[1], m[2], m[3], m[4], field)
		}
		checked++
	}
	if checked < 20 {
		t.Errorf("%d defaults were compared, want 20 at least", checked)
	}
}
