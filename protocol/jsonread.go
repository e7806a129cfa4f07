package protocol

import (
	"slices"
	"unicode/utf8"
)

// A jsonEnvelope collects the members of a record. Their order is free, so
// nothing is known about the message before all have been read.
type jsonEnvelope struct {
	memory    *scratch
	headers   []Header
	id        string
	target    string
	errText   string
	arguments []Raw
	streamIDs []string
	item      Raw
	result    Raw
	kind      int64
	sequence  int64

	hasKind, hasTarget, hasError, hasSequence, allowReconnect bool
}

// readJSONMessage decodes one record, without its separator.
func readJSONMessage(record []byte, memory *scratch) (Message, error) {
	r := jsonReader{jsonScanner{b: record}}
	if err := r.object(); err != nil {
		return nil, err
	}
	e := jsonEnvelope{memory: memory}
	for first := true; ; first = false {
		name, more, err := r.member(first)
		if err != nil {
			return nil, err
		}
		if !more {
			return e.message()
		}
		if err := e.read(&r, name); err != nil {
			return nil, err
		}
	}
}

// read reads the value of one member. The last of several with the same name
// wins.
func (e *jsonEnvelope) read(r *jsonReader, name []byte) (err error) {
	switch string(name) {
	case "type":
		e.kind, e.hasKind, err = r.integer("type", 32)
		if err == nil && !e.hasKind {
			err = invalidData("Expected 'type' to be of type Number.")
		}
	case "invocationId":
		e.id, err = r.stringIn(e.memory, (*scratch).id, "invocationId")
	case "target":
		e.target, err = r.stringIn(e.memory, (*scratch).text, "target")
		e.hasTarget = true
	case "arguments":
		e.arguments, err = r.arguments(e.memory)
	case "streamIds":
		e.streamIDs, err = r.streamIDs()
	case "headers":
		e.headers, err = r.headers(e.headers[:0])
	case "item":
		e.item, err = r.raw(1)
	case "result":
		e.result, err = r.raw(1)
	case "error":
		e.errText, err = r.string("error")
		e.hasError = true
	case "allowReconnect":
		e.allowReconnect, err = r.boolean("allowReconnect")
	case "sequenceId":
		e.sequence, e.hasSequence, err = r.integer("sequenceId", 64)
	default:
		if !r.value(1) {
			err = errReadingJSON
		}
	}
	return err
}

// message makes the message, once all members are known.
func (e *jsonEnvelope) message() (Message, error) {
	if !e.hasKind {
		return nil, missing("type")
	}
	switch e.kind {
	case 1, 4:
		return e.invocation()
	case 2:
		if e.id == "" {
			return nil, missing("invocationId")
		}
		if e.item == nil {
			return nil, missing("item")
		}
		i := e.memory.streamItem()
		*i = StreamItem{Headers: e.headers, InvocationID: e.id, RawItem: e.item}
		return i, nil
	case 3:
		return e.completion()
	case 5:
		if e.id == "" {
			return nil, missing("invocationId")
		}
		return &CancelInvocation{Headers: e.headers, InvocationID: e.id}, nil
	case 6:
		return &Ping{}, nil
	case 7:
		return &Close{Error: e.errText, HasError: e.hasError, AllowReconnect: e.allowReconnect}, nil
	case 8, 9:
		if !e.hasSequence {
			return nil, missing("sequenceId")
		}
		if e.kind == 8 {
			return &Ack{SequenceID: e.sequence}, nil
		}
		return &Sequence{SequenceID: e.sequence}, nil
	}
	return &Unknown{Type: e.kind}, nil
}

func (e *jsonEnvelope) invocation() (Message, error) {
	switch {
	case !e.hasTarget:
		return nil, missing("target")
	case e.kind == 4 && e.id == "":
		return nil, missing("invocationId")
	case e.arguments == nil:
		return nil, missing("arguments")
	}
	i := e.memory.invocation()
	i.Headers, i.InvocationID, i.Target, i.RawArguments, i.StreamIDs = e.headers, e.id, e.target, e.arguments, e.streamIDs
	if e.kind == 4 {
		return &StreamInvocation{*i}, nil
	}
	return i, nil
}

func (e *jsonEnvelope) completion() (Message, error) {
	c := &Completion{Headers: e.headers, InvocationID: e.id, Kind: ResultVoid, Error: e.errText, RawResult: e.result}
	switch {
	case e.id == "":
		return nil, missing("invocationId")
	case e.hasError && e.result != nil:
		return nil, invalidData("The 'error' and 'result' properties are mutually exclusive.")
	case e.hasError:
		c.Kind = ResultError
	case e.result != nil:
		c.Kind = ResultValue
	}
	return c, nil
}

func missing(name string) error {
	return invalidData("Missing required property '" + name + "'.")
}

// array passes an opening bracket; more says whether a value follows.
func (r *jsonReader) array(name string) (more bool, err error) {
	if r.next() != '[' {
		return false, r.mismatch("Expected '" + name + "' to be of type Array.")
	}
	r.i++
	if r.next() == ']' {
		r.i++
		return false, nil
	}
	return true, nil
}

// element passes what follows a value in an array.
func (r *jsonReader) element() (more bool, err error) {
	switch r.next() {
	case ',':
		r.i++
		return true, nil
	case ']':
		r.i++
		return false, nil
	}
	return false, errReadingJSON
}

// arguments reads the elements of an array as they are. Most calls have few,
// which then cost one allocation.
func (r *jsonReader) arguments(memory *scratch) ([]Raw, error) {
	var few [8]Raw
	list := few[:0]
	more, err := r.array("arguments")
	for more && err == nil {
		var value Raw
		if value, err = r.raw(2); err == nil {
			list = append(list, value)
			more, err = r.element()
		}
	}
	if err != nil {
		return nil, err
	}
	kept := memory.list(len(list))
	copy(kept, list)
	return kept, nil
}

func (r *jsonReader) streamIDs() ([]string, error) {
	list := []string{}
	more, err := r.array("streamIds")
	for more && err == nil {
		var id string
		if id, err = r.streamID(); err == nil {
			list = append(list, id)
			more, err = r.element()
		}
	}
	return list, err
}

func (r *jsonReader) streamID() (string, error) {
	if r.next() == '"' {
		return r.string("streamIds")
	}
	kind, err := r.tokenKind()
	switch {
	case err != nil:
		return "", err
	case kind == "Null":
		return "", invalidData("Null value for 'streamIds' is not valid.")
	case kind == "Array" || kind == "Object":
		kind = "Start" + kind
	}
	return "", &Error{"InvalidOperationException", "Cannot get the value of a token type '" + kind + "' as a string."}
}

// headers appends the entries of an object of strings. A name that comes
// twice keeps its place and takes the last value.
func (r *jsonReader) headers(list []Header) ([]Header, error) {
	if r.next() != '{' {
		return nil, r.mismatch("Expected 'headers' to be of type StartObject.")
	}
	r.i++
	var known headerIndex
	for first := true; ; first = false {
		raw, more, err := r.member(first)
		if err != nil || !more {
			return list, err
		}
		if !utf8.Valid(raw) {
			return nil, errInvalidUTF8
		}
		name := string(raw)
		if r.next() != '"' {
			return nil, r.mismatch("Expected header '" + name + "' to be of type String.")
		}
		value, err := r.string(name)
		if err != nil {
			return nil, err
		}
		if i := known.find(list, name); i >= 0 {
			list[i].Value = value
		} else {
			list = append(list, Header{name, value})
		}
	}
}

// A headerIndex finds headers by name. Usual messages have a few, hostile ones
// thousands.
type headerIndex map[string]int

// find returns the place of name in list, or -1. The list may only grow
// between two calls.
func (x *headerIndex) find(list []Header, name string) int {
	if len(list) < 16 {
		return slices.IndexFunc(list, func(h Header) bool { return h.Name == name })
	}
	if *x == nil {
		*x = make(headerIndex)
	}
	for i := len(*x); i < len(list); i++ {
		(*x)[list[i].Name] = i
	}
	if i, ok := (*x)[name]; ok {
		return i
	}
	return -1
}

func (r *jsonReader) boolean(name string) (bool, error) {
	switch r.next() {
	case 't':
		if r.literal("true") {
			return true, nil
		}
		return false, errReadingJSON
	case 'f':
		if r.literal("false") {
			return false, nil
		}
		return false, errReadingJSON
	}
	return false, r.mismatch("Expected '" + name + "' to be true or false.")
}
