package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hubwire/hubwire/internal/msgp"
)

// errNoMessagePack is for a Raw that is not one MessagePack value.
var errNoMessagePack = errors.New("value is not valid MessagePack")

// Append appends the length of m and m to dst, byte for byte as ASP.NET Core
// writes it; see Codec.
func (c MessagePack) Append(dst []byte, m Message) ([]byte, error) {
	start := len(dst)
	out, err := c.appendMessage(append(dst, 0), m) // most messages have a length of one byte
	if err == nil && len(out)-start-1 > maxMessagePackSize {
		err = errTooBig
	}
	if err != nil {
		return dst, &ValueError{Where: fmt.Sprintf("encode %T as MessagePack", m), Err: err}
	}
	var prefix [5]byte
	n := binary.PutUvarint(prefix[:], uint64(len(out)-start-1))
	if n > 1 {
		out = slices.Insert(out, start, prefix[1:n]...)
	}
	copy(out[start:], prefix[:n])
	return out, nil
}

func (c MessagePack) appendMessage(dst []byte, m Message) ([]byte, error) {
	switch m := m.(type) {
	case *Invocation:
		return c.appendInvocation(append(dst, msgp.FixArray|6, 1), m)
	case *StreamInvocation:
		return c.appendInvocation(append(dst, msgp.FixArray|6, 4), &m.Invocation)
	case *StreamItem:
		dst = appendMPHeaders(append(dst, msgp.FixArray|4, 2), m.Headers)
		return c.appendPayload(appendMPString(dst, m.InvocationID), m.RawItem, m.Item)
	case *Completion:
		return c.appendCompletion(dst, m)
	case *CancelInvocation:
		dst = appendMPHeaders(append(dst, msgp.FixArray|3, 5), m.Headers)
		return appendMPString(dst, m.InvocationID), nil
	case *Ping:
		return append(dst, msgp.FixArray|1, 6), nil
	case *Close:
		dst = msgp.AppendBool(appendMPNullable(append(dst, msgp.FixArray|3, 7), m.Error), m.AllowReconnect)
		return dst, nil
	case *Ack:
		return msgp.AppendInt(append(dst, msgp.FixArray|2, 8), m.SequenceID), nil
	case *Sequence:
		return msgp.AppendInt(append(dst, msgp.FixArray|2, 9), m.SequenceID), nil
	case *Unknown:
		return msgp.AppendInt(append(dst, msgp.FixArray|1), m.Type), nil
	}
	return nil, errors.New("unknown message")
}

func (c MessagePack) appendInvocation(dst []byte, m *Invocation) ([]byte, error) {
	if m.ArgumentsErr != nil {
		return nil, m.ArgumentsErr // they are not known
	}
	dst = appendMPHeaders(dst, m.Headers)
	dst = appendMPNullable(dst, m.InvocationID)
	dst = appendMPString(dst, m.Target)
	n := m.argumentCount()
	dst = msgp.AppendArray(dst, n)
	for i := range n {
		raw, value := m.argument(i)
		var err error
		if dst, err = c.appendPayload(dst, raw, value); err != nil {
			return nil, &ValueError{Where: fmt.Sprintf("argument %d", i+1), Err: err}
		}
	}
	dst = msgp.AppendArray(dst, len(m.StreamIDs))
	for _, id := range m.StreamIDs {
		dst = appendMPString(dst, id)
	}
	return dst, nil
}

func (c MessagePack) appendCompletion(dst []byte, m *Completion) ([]byte, error) {
	size := byte(5)
	if m.Kind == ResultVoid {
		size = 4
	}
	dst = appendMPHeaders(append(dst, msgp.FixArray|size, 3), m.Headers)
	dst = append(appendMPString(dst, m.InvocationID), byte(m.Kind))
	switch m.Kind {
	case ResultError:
		return appendMPString(dst, m.Error), nil
	case ResultVoid:
		return dst, nil
	case ResultValue:
		return c.appendPayload(dst, m.RawResult, m.Result)
	}
	return nil, fmt.Errorf("unknown result kind %d", m.Kind)
}

// appendPayload appends raw, or value where raw is nil.
func (c MessagePack) appendPayload(dst []byte, raw Raw, value any) ([]byte, error) {
	if raw == nil {
		return appendMPValue(dst, value)
	}
	r := newMPReader(raw)
	if !r.Skip(1) || r.Left() > 0 {
		return nil, errNoMessagePack
	}
	return append(dst, raw...), nil
}

func appendMPHeaders(dst []byte, headers []Header) []byte {
	dst = msgp.AppendMap(dst, len(headers))
	for _, h := range headers {
		dst = appendMPString(appendMPString(dst, h.Name), h.Value)
	}
	return dst
}

// appendMPNullable appends s, or nil for an empty one.
func appendMPNullable(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, msgp.Nil)
	}
	return appendMPString(dst, s)
}

// appendMPString appends s. What is not UTF-8 in it becomes U+FFFD.
func appendMPString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return msgp.AppendString(dst, s)
}

// appendMPBytes appends b; nil bytes are nil.
func appendMPBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, msgp.Nil)
	}
	return msgp.AppendBytes(dst, b)
}
