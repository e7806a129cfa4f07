package protocol

import "unicode/utf8"

// unmarshalJSONAny decodes raw into a *any, *map[string]any or *[]any that holds nothing
// yet, in one pass: nothing is there that would be half changed if raw is not JSON. It
// reports whether it did. The other way, in two, knows why not; with it alone
// BenchmarkPayloads/document_without_a_type takes 1.25 times as long.
func unmarshalJSONAny(raw Raw, v any) (ok bool) {
	switch p := v.(type) {
	case *any:
		if p == nil || *p != nil {
			return false
		}
		*p, ok = parseJSONAny(raw)
	case *map[string]any:
		if p == nil || *p != nil {
			return false
		}
		x, _ := parseJSONAny(raw)
		*p, ok = x.(map[string]any)
	case *[]any:
		if p == nil || *p != nil {
			return false
		}
		x, _ := parseJSONAny(raw)
		*p, ok = x.([]any)
	}
	return ok
}

// parseJSONAny returns the value of raw; ok is false where raw is not one value, or holds
// text that .NET cannot turn into strings.
func parseJSONAny(raw Raw) (x any, ok bool) {
	if !utf8.Valid(raw) {
		return nil, false
	}
	d := jsonDecoder{jsonScanner: jsonScanner{b: raw}}
	x, err := d.any(0)
	if d.next(); err != nil || d.i != len(raw) {
		return nil, false
	}
	return x, true
}

// any decodes the next value without knowing what it is: into a float64, string, bool,
// []any, map[string]any or nil. It is in so many arrays and objects. The text is UTF-8;
// what is not JSON is errNoJSON.
func (d *jsonDecoder) any(depth int) (any, error) {
	switch c := d.next(); c {
	case '[':
		return d.anyList(depth)
	case '{':
		return d.anyDict(depth)
	case '"':
		return d.anyText()
	case 't', 'f', 'n':
		switch {
		case !d.scalar(c):
			return nil, errNoJSON
		case c == 'n':
			return nil, nil
		}
		return c == 't', nil
	}
	start := d.i
	if !d.number() {
		return nil, errNoJSON
	}
	return parseFloat(d.b[start:d.i], 64), nil
}

func (d *jsonDecoder) anyList(depth int) (any, error) {
	if depth == maxJSONDepth {
		return nil, errNoJSON
	}
	var few [8]any // most lists have no more: they get the memory that they need
	var list []any
	n := 0
	for more := d.opened(); more; n++ {
		x, err := d.any(depth + 1)
		if err != nil {
			return nil, err
		}
		if n < len(few) {
			few[n] = x
		} else {
			if n == len(few) {
				list = append(make([]any, 0, 4*n), few[:]...)
			}
			list = append(list, x)
		}
		if more, err = d.more(']'); err != nil {
			return nil, err
		}
	}
	if n <= len(few) {
		list = append(make([]any, 0, n), few[:n]...)
	}
	return list, nil
}

func (d *jsonDecoder) anyDict(depth int) (any, error) {
	if depth == maxJSONDepth {
		return nil, errNoJSON
	}
	dict := make(map[string]any)
	for more := d.opened(); more; {
		if d.next() != '"' {
			return nil, errNoJSON
		}
		name, err := d.anyText()
		if err != nil {
			return nil, err
		}
		if !d.colon() {
			return nil, errNoJSON
		}
		if dict[name], err = d.any(depth + 1); err != nil {
			return nil, err
		}
		if more, err = d.more('}'); err != nil {
			return nil, err
		}
	}
	return dict, nil
}

// opened passes an opening bracket or brace, and the closing one if it is next: then there
// are no more elements.
func (d *jsonDecoder) opened() (more bool) {
	closing := d.b[d.i] + 2 // ']' or '}'
	d.i++
	if d.next() != closing {
		return true
	}
	d.i++
	return false
}

// more passes what follows an element: a comma, or the end.
func (d *jsonDecoder) more(closing byte) (bool, error) {
	switch d.next() {
	case ',':
		d.i++
		return true, nil
	case closing:
		d.i++
		return false, nil
	}
	return false, errNoJSON
}

// anyText passes a string.
func (d *jsonDecoder) anyText() (string, error) {
	inner, plain, ok := d.str()
	switch {
	case !ok:
		return "", errNoJSON
	case !plain:
		return checkedText(inner, false)
	}
	start := d.i - 1 - len(inner)
	return d.short.of(d.b[start:], len(inner), start), nil
}
