package protocol

import (
	"errors"
	"fmt"
	"strconv"
)

// errNoJSON is for a Raw, or the output of a marshaler, that is not JSON.
var errNoJSON = errors.New("value is not valid JSON, or nests too deeply")

// Append appends m and 0x1E to dst, byte for byte as ASP.NET Core writes it;
// see Codec.
func (c JSON) Append(dst []byte, m Message) ([]byte, error) {
	out, err := c.appendMessage(dst, m)
	if err != nil {
		return dst, &ValueError{Where: fmt.Sprintf("encode %T as JSON", m), Err: err}
	}
	return append(out, '}', recordSeparator), nil
}

// appendMessage appends m without its closing brace.
func (c JSON) appendMessage(dst []byte, m Message) ([]byte, error) {
	switch m := m.(type) {
	case *Invocation:
		return c.appendInvocation(append(dst, `{"type":1`...), m)
	case *StreamInvocation:
		return c.appendInvocation(append(dst, `{"type":4`...), &m.Invocation)
	case *StreamItem:
		dst = appendJSONHeaders(append(dst, `{"type":2`...), m.Headers)
		dst = appendJSONMember(dst, `,"invocationId":`, m.InvocationID)
		return c.appendPayload(append(dst, `,"item":`...), m.RawItem, m.Item, 1)
	case *Completion:
		dst = appendJSONHeaders(append(dst, `{"type":3`...), m.Headers)
		dst = appendJSONMember(dst, `,"invocationId":`, m.InvocationID)
		switch {
		case m.Kind == ResultError && m.Error != "":
			return appendJSONMember(dst, `,"error":`, m.Error), nil
		case m.Kind == ResultValue:
			return c.appendPayload(append(dst, `,"result":`...), m.RawResult, m.Result, 1)
		case m.Kind > ResultValue || m.Kind == 0:
			return nil, fmt.Errorf("unknown result kind %d", m.Kind)
		}
		return dst, nil
	case *CancelInvocation:
		dst = appendJSONHeaders(append(dst, `{"type":5`...), m.Headers)
		return appendJSONMember(dst, `,"invocationId":`, m.InvocationID), nil
	case *Ping:
		return append(dst, `{"type":6`...), nil
	case *Close:
		dst = append(dst, `{"type":7`...)
		if m.HasError || m.Error != "" {
			dst = appendJSONMember(dst, `,"error":`, m.Error)
		}
		if m.AllowReconnect {
			dst = append(dst, `,"allowReconnect":true`...)
		}
		return dst, nil
	case *Ack:
		return strconv.AppendInt(append(dst, `{"type":8,"sequenceId":`...), m.SequenceID, 10), nil
	case *Sequence:
		return strconv.AppendInt(append(dst, `{"type":9,"sequenceId":`...), m.SequenceID, 10), nil
	case *Unknown:
		return strconv.AppendInt(append(dst, `{"type":`...), m.Type, 10), nil
	}
	return nil, errors.New("unknown message")
}

func (c JSON) appendInvocation(dst []byte, m *Invocation) ([]byte, error) {
	if m.ArgumentsErr != nil {
		return nil, m.ArgumentsErr // they are not known
	}
	dst = appendJSONHeaders(dst, m.Headers)
	if m.InvocationID != "" {
		dst = appendJSONMember(dst, `,"invocationId":`, m.InvocationID)
	}
	dst = appendJSONMember(dst, `,"target":`, m.Target)
	dst = append(dst, `,"arguments":[`...)
	for i, n := 0, m.argumentCount(); i < n; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		raw, value := m.argument(i)
		var err error
		if dst, err = c.appendPayload(dst, raw, value, 2); err != nil {
			return nil, &ValueError{Where: fmt.Sprintf("argument %d", i+1), Err: err}
		}
	}
	dst = append(dst, ']')
	if m.StreamIDs != nil {
		dst = append(dst, `,"streamIds":[`...)
		for i, id := range m.StreamIDs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSONString(dst, id)
		}
		dst = append(dst, ']')
	}
	return dst, nil
}

// appendPayload appends raw, or value where raw is nil, with open containers
// around it.
func (c JSON) appendPayload(dst []byte, raw Raw, value any, open int) ([]byte, error) {
	if raw == nil {
		return c.appendValue(dst, value, maxJSONDepth-open)
	}
	e := jsonEncoder{left: maxJSONDepth - open}
	return e.raw(dst, raw)
}

func appendJSONHeaders(dst []byte, headers []Header) []byte {
	if len(headers) == 0 {
		return dst
	}
	dst = append(dst, `,"headers":{`...)
	for i, h := range headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, h.Name)
		dst = append(dst, ':')
		dst = appendJSONString(dst, h.Value)
	}
	return append(dst, '}')
}

func appendJSONMember(dst []byte, name, value string) []byte {
	return appendJSONString(append(dst, name...), value)
}

// argumentCount and argument make one list of RawArguments and Arguments.
func (m *Invocation) argumentCount() int {
	if m.RawArguments != nil {
		return len(m.RawArguments)
	}
	return len(m.Arguments)
}

func (m *Invocation) argument(i int) (Raw, any) {
	if m.RawArguments == nil {
		return nil, m.Arguments[i]
	}
	if raw := m.RawArguments[i]; raw != nil {
		return raw, nil
	}
	return Raw{}, nil // not a value: an error, not a null
}
