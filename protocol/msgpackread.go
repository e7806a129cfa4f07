package protocol

import (
	"fmt"
	"unicode/utf8"

	"github.com/hubwire/hubwire/internal/msgp"
)

// readFailed is the error for a part of a message that is missing or of
// another type.
func readFailed(what, kind string) error {
	return invalidData("Reading '" + what + "' as " + kind + " failed.")
}

// A mpEnvelope reads the parts of a message in their order.
type mpEnvelope struct {
	mpReader
	memory *scratch
}

// readMessagePackMessage decodes one body. Elements after those that belong
// to its type are ignored.
func readMessagePackMessage(body []byte, memory *scratch) (Message, error) {
	e := mpEnvelope{newMPReader(body), memory}
	size, err := e.size()
	if err != nil {
		return nil, err
	}
	kind, ok := e.Signed(32)
	if !ok {
		return nil, readFailed("messageType", "Int32")
	}
	switch kind {
	case 1:
		return e.invocation(size)
	case 2:
		return e.streamItem()
	case 3:
		return e.completion()
	case 4:
		return e.streamInvocation(size)
	case 5:
		headers, id, err := e.headersAndID("CancelInvocation")
		if err != nil {
			return nil, err
		}
		return &CancelInvocation{Headers: headers, InvocationID: id}, nil
	case 6:
		return &Ping{}, nil
	case 7:
		return e.close(size)
	case 8, 9:
		n, ok := e.Signed(64)
		if !ok {
			return nil, readFailed("sequenceId", "Int64")
		}
		if kind == 8 {
			return &Ack{SequenceID: n}, nil
		}
		return &Sequence{SequenceID: n}, nil
	}
	return &Unknown{Type: kind}, nil
}

// size passes the header of the message's array.
func (e *mpEnvelope) size() (int, error) {
	if n, ok := e.Array(); ok {
		return n, nil
	}
	return 0, e.unexpected(msgp.KindArray)
}

// unexpected is the error where a value of a kind could not be read: the bytes
// have ended, if they have or if the kind is the right one, else it is wrong.
func (e *mpEnvelope) unexpected(kind msgp.Kind) error {
	if e.Left() == 0 || msgp.KindOf(e.Code()) == kind {
		return errEnd
	}
	return unexpectedCode(e.Code())
}

// text reads a string, or nil as an empty one.
func (e *mpEnvelope) text(what string) (string, error) {
	return e.textIn(nil, (*scratch).text, what)
}

// textIn is text for a member that most messages have: keep puts it into
// memory.
func (e *mpEnvelope) textIn(memory *scratch, keep func(*scratch, []byte) string, what string) (string, error) {
	if e.Nil() {
		return "", nil
	}
	s, ok := e.Str()
	switch {
	case !ok:
		return "", readFailed(what, "String")
	case utf8.Valid(s):
		return keep(memory, s), nil
	}
	return mpText(s), nil
}

// headersAndID reads what types 1 to 5 begin with. The id may be empty only
// where owner, the name of the message, is.
func (e *mpEnvelope) headersAndID(owner string) (headers []Header, id string, err error) {
	if headers, err = e.headers(); err != nil {
		return nil, "", err
	}
	if id, err = e.textIn(e.memory, (*scratch).id, "invocationId"); err != nil {
		return nil, "", err
	}
	if id == "" && owner != "" {
		return nil, "", invalidData("Null or empty invocation ID for " + owner + " message.")
	}
	return headers, id, nil
}

func (e *mpEnvelope) headers() ([]Header, error) {
	n, ok := e.Map()
	if !ok {
		return nil, invalidData("Reading map length for 'headers' failed.")
	}
	if n == 0 {
		return nil, nil
	}
	var list []Header
	var known headerIndex
	for i := range n {
		name, err := e.header(i, "Key", "key")
		if err != nil {
			return nil, err
		}
		value, err := e.header(i, "Value", "value")
		if err != nil {
			return nil, err
		}
		if known.find(list, name) >= 0 {
			return nil, &Error{"ArgumentException", "An item with the same key has already been added. Key: " + name}
		}
		list = append(list, Header{name, value})
	}
	return list, nil
}

// header reads a name or value, which must not be empty.
func (e *mpEnvelope) header(i int, part, word string) (string, error) {
	if !e.Nil() {
		s, ok := e.Str()
		if !ok {
			return "", readFailed(fmt.Sprintf("headers[%d].%s", i, part), "String")
		}
		if len(s) > 0 {
			return mpText(s), nil
		}
	}
	return "", invalidData("Null or empty " + word + " in header.")
}

func (e *mpEnvelope) invocation(size int) (Message, error) {
	m := e.memory.invocation()
	if err := e.call(m, size, "", "Invocation"); err != nil {
		return nil, err
	}
	return m, nil
}

func (e *mpEnvelope) streamInvocation(size int) (Message, error) {
	m := &StreamInvocation{}
	if err := e.call(&m.Invocation, size, "StreamInvocation", "StreamInvocation"); err != nil {
		return nil, err
	}
	return m, nil
}

// call reads an invocation of either kind.
func (e *mpEnvelope) call(m *Invocation, size int, idOwner, owner string) (err error) {
	if m.Headers, m.InvocationID, err = e.headersAndID(idOwner); err != nil {
		return err
	}
	if m.Target, err = e.textIn(e.memory, (*scratch).text, "target"); err != nil {
		return err
	}
	if m.Target == "" {
		return invalidData("Null or empty target for " + owner + " message.")
	}
	if m.RawArguments, m.ArgumentsErr = e.arguments(); m.ArgumentsErr != nil {
		return nil // the call fails, the connection lives; what follows is not read
	}
	if size > 5 {
		m.StreamIDs, err = e.streamIDs()
	}
	return err
}

func (e *mpEnvelope) arguments() ([]Raw, error) {
	n, ok := e.Array()
	if !ok {
		return nil, invalidData("Reading array length for 'arguments' failed.")
	}
	list := e.memory.list(n)
	for i := range list {
		raw, ok := e.Value()
		if !ok {
			return nil, invalidData("Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.")
		}
		list[i] = raw
	}
	return list, nil
}

func (e *mpEnvelope) streamIDs() ([]string, error) {
	n, ok := e.Array()
	if !ok {
		return nil, invalidData("Reading array length for 'streamIds' failed.")
	}
	if n == 0 {
		return nil, nil
	}
	var list []string
	for range n {
		var id []byte
		if ok = e.Nil(); !ok {
			id, ok = e.Str()
		}
		if !ok {
			return nil, e.unexpected(msgp.KindStr)
		}
		if len(id) == 0 {
			return nil, invalidData("Null or empty value in streamIds received.")
		}
		list = append(list, mpText(id))
	}
	return list, nil
}

// payload passes one value and returns its bytes. Bytes that are no value are
// returned as they are: decoding them fails, which ends a stream or a call but
// not the connection.
func (e *mpEnvelope) payload() Raw {
	raw, ok := e.Value()
	if !ok {
		raw = e.Rest()
	}
	return raw
}

func (e *mpEnvelope) streamItem() (Message, error) {
	headers, id, err := e.headersAndID("StreamItem")
	if err != nil {
		return nil, err
	}
	i := e.memory.streamItem()
	*i = StreamItem{Headers: headers, InvocationID: id, RawItem: e.payload()}
	return i, nil
}

func (e *mpEnvelope) completion() (Message, error) {
	headers, id, err := e.headersAndID("Completion")
	if err != nil {
		return nil, err
	}
	kind, ok := e.Signed(32)
	if !ok {
		return nil, readFailed("resultKind", "Int32")
	}
	m := &Completion{Headers: headers, InvocationID: id, Kind: ResultKind(kind)}
	switch kind {
	case int64(ResultError):
		if e.Nil() {
			m.Kind = ResultVoid
			break
		}
		m.Error, err = e.text("error")
	case int64(ResultVoid):
	case int64(ResultValue):
		m.RawResult = e.payload()
	default:
		return nil, invalidData("Invalid invocation result kind.")
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (e *mpEnvelope) close(size int) (Message, error) {
	text, err := e.text("error")
	if err != nil {
		return nil, err
	}
	m := &Close{Error: text, HasError: text != ""}
	if size > 2 {
		var ok bool
		if m.AllowReconnect, ok = e.Bool(); !ok {
			return nil, readFailed("allowReconnect", "Boolean")
		}
	}
	return m, nil
}
