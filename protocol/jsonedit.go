package protocol

import (
	"bytes"
	"time"
	"unicode/utf8"
)

// A jsonEditor goes through JSON text, which is known to be valid, together
// with the shape of the Go type that it is for. It reports what ASP.NET Core
// would refuse and gives times the form that encoding/json reads.
type jsonEditor struct {
	jsonScanner
	out    []byte // the edited text up to copied
	copied int
}

// editJSON returns src edited, which is src where nothing had to be.
func editJSON(src []byte, shape *jsonShape) ([]byte, error) {
	e := jsonEditor{jsonScanner: jsonScanner{b: src}}
	if err := e.walk(shape); err != nil {
		return nil, err
	}
	if e.copied == 0 {
		return src, nil
	}
	return append(e.out, src[e.copied:]...), nil
}

// checkText reports text that .NET cannot turn into strings. encoding/json puts
// U+FFFD there instead.
func checkText(token []byte) error {
	if !utf8.Valid(token) {
		return errInvalidUTF8
	}
	if !bytes.Contains(token, []byte(`\u`)) {
		return nil
	}
	for s := (jsonScanner{b: token}); ; {
		quote := bytes.IndexByte(s.b[s.i:], '"')
		if quote < 0 {
			return nil
		}
		s.i += quote
		inner, _, _ := s.str()
		if bytes.IndexByte(inner, '\\') >= 0 {
			if _, err := unescape(nil, inner); err != nil {
				return err
			}
		}
	}
}

// replace puts text in the place of what stands from start to i.
func (e *jsonEditor) replace(start int, text []byte) {
	if bytes.Equal(text, e.b[start:e.i]) {
		return
	}
	e.out = append(append(e.out, e.b[e.copied:start]...), text...)
	e.copied = e.i
}

// skip passes one value.
func (e *jsonEditor) skip() error {
	if !e.value(0) {
		return errNoJSON // not met: the text is valid
	}
	return nil
}

// walk passes one value of the given shape; nil is one that nobody decodes.
func (e *jsonEditor) walk(shape *jsonShape) error {
	for shape != nil && shape.kind == shapePointer && e.next() != 'n' {
		shape = shape.elem
	}
	c := e.next()
	switch {
	case shape == nil:
	case c == 'n':
		if !shape.nullable {
			return errNull
		}
	case shape.kind == shapeStruct && c == '{', shape.kind == shapeDict && c == '{':
		return e.object(shape)
	case shape.kind == shapeList && c == '[':
		return e.list(shape)
	case shape.kind == shapeBytes && c == '[':
		return errKind // encoding/json would take numbers for bytes
	case shape.kind == shapeTime && c == '"':
		return e.time()
	case shape.kind == shapeTime:
		return errKind
	}
	return e.skip()
}

func (e *jsonEditor) object(shape *jsonShape) error {
	e.i++
	for e.next() != '}' {
		if e.b[e.i] == ',' {
			e.i++
			e.space()
		}
		inner, plain, _ := e.str()
		e.colon()
		member := shape.elem
		if shape.kind == shapeStruct {
			member = shape.member(inner, plain)
		}
		if err := e.walk(member); err != nil {
			return err
		}
	}
	e.i++
	return nil
}

func (e *jsonEditor) list(shape *jsonShape) error {
	e.i++
	for e.next() != ']' {
		if e.b[e.i] == ',' {
			e.i++
		}
		if err := e.walk(shape.elem); err != nil {
			return err
		}
	}
	e.i++
	return nil
}

// time passes the string of a time.Time.
func (e *jsonEditor) time() error {
	start := e.i
	inner, plain, _ := e.str()
	s, err := text(inner, plain)
	if err != nil {
		return err
	}
	c, err := parseClock(s)
	if err != nil {
		return err
	}
	e.replace(start, quoted(c.instant().Format(time.RFC3339Nano)))
	return nil
}
