package server_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"
)

// A selfDecoded keeps the pointers in which its values decode themselves.
type selfDecoded struct{ Text string }

var selfDecodedAt struct {
	sync.Mutex
	all []*selfDecoded
}

func (s *selfDecoded) UnmarshalJSON(b []byte) error {
	selfDecodedAt.Lock()
	defer selfDecodedAt.Unlock()
	selfDecodedAt.all = append(selfDecodedAt.all, s)
	return json.Unmarshal(b, &s.Text)
}

// An everything has a field for each way in which two values could share memory.
type everything struct {
	Number  int
	Text    string
	List    []string
	Bytes   []byte
	Map     map[string]int
	Pointer *int
	Any     any
	Array   [2][]int
	Inner   struct{ List []int }
}

// A keepHub keeps what its methods are given.
type keepHub struct {
	mu   sync.Mutex
	kept []any
}

func (h *keepHub) keep(v any) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, v)
	return len(h.kept)
}

func (h *keepHub) Struct(v everything) int                  { return h.keep(v) }
func (h *keepHub) Pointer(v *everything) int                { return h.keep(v) }
func (h *keepHub) List(v []everything) int                  { return h.keep(v) }
func (h *keepHub) Map(v map[string][]int) int               { return h.keep(v) }
func (h *keepHub) Any(v any) int                            { return h.keep(v) }
func (h *keepHub) Two(v []int, w string) int                { return h.keep([]any{v, w}) }
func (h *keepHub) Self(v selfDecoded) int                   { return h.keep(v) }
func (h *keepHub) Within(v struct{ In [1]selfDecoded }) int { return h.keep(v) }

// What a method was given is its own: later calls of the same method neither
// change it nor begin with what it had.
func TestNothingOfACallIsSeenByTheNextOne(t *testing.T) {
	full := func(i int) string {
		return fmt.Sprintf(`{"number":%d,"text":"t%[1]d","list":["a%[1]d","b"],"bytes":"AQID","map":{"k%[1]d":%[1]d},"pointer":%[1]d,"any":[%[1]d],"array":[[%[1]d],[2]],"inner":{"list":[%[1]d]}}`, i)
	}
	for method, args := range map[string][]string{
		"Struct":  {"[" + full(1) + "]", "[" + full(2) + "]", `[{}]`, `[{"list":["x"],"map":{"y":1}}]`},
		"Pointer": {"[" + full(1) + "]", "[" + full(2) + "]", `[{}]`, `[null]`},
		"List":    {"[[" + full(1) + "," + full(2) + "]]", "[[{},{}]]", `[null]`, `[[]]`},
		"Map":     {`[{"a":[1,2]}]`, `[{"b":[3]}]`, `[{}]`, `[null]`},
		"Any":     {`[{"a":[1,2]}]`, `[[3]]`, `[null]`},
		"Two":     {`[[1,2,3],"a"]`, `[[4],"b"]`, `[[],null]`, `[null,"c"]`},
		"Self":    {`["a"]`, `["b"]`},
		"Within":  {`[{"in":["a"]}]`, `[{"in":["b"]}]`},
	} {
		t.Run(method, func(t *testing.T) {
			selfDecodedAt.all = nil
			h := &keepHub{}
			c := connect(t, serve(t, newHub(h, nil)))
			var want []any
			for i, list := range args {
				c.send(`{"type":1,"invocationId":"bad","target":"` + method + `","arguments":[{"list":["bad"]},0,0,0]}`)
				c.receive()
				c.call(fmt.Sprint(i), method, list, fmt.Sprintf(`"result":%d`, i+1))
				alone := &keepHub{}
				connect(t, serve(t, newHub(alone, nil))).call("1", method, list, `"result":1`)
				want = append(want, alone.kept[0])
			}
			if !reflect.DeepEqual(h.kept, want) {
				t.Errorf("kept of calls one after the other\n got: %+v\nwant: %+v, as each alone", h.kept, want)
			}
			at := map[*selfDecoded]bool{}
			for _, p := range selfDecodedAt.all {
				at[p] = true
			}
			if len(at) != len(selfDecodedAt.all) {
				t.Errorf("%d values decoded themselves in %d variables", len(selfDecodedAt.all), len(at))
			}
		})
	}
}
