package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
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
		return c.appendInvocation(append(dst, mpFixArray|6, 1), m)
	case *StreamInvocation:
		return c.appendInvocation(append(dst, mpFixArray|6, 4), &m.Invocation)
	case *StreamItem:
		dst = appendMPHeaders(append(dst, mpFixArray|4, 2), m.Headers)
		return c.appendPayload(appendMPString(dst, m.InvocationID), m.RawItem, m.Item)
	case *Completion:
		return c.appendCompletion(dst, m)
	case *CancelInvocation:
		dst = appendMPHeaders(append(dst, mpFixArray|3, 5), m.Headers)
		return appendMPString(dst, m.InvocationID), nil
	case *Ping:
		return append(dst, mpFixArray|1, 6), nil
	case *Close:
		dst = appendMPBool(appendMPNullable(append(dst, mpFixArray|3, 7), m.Error), m.AllowReconnect)
		return dst, nil
	case *Ack:
		return appendMPInt(append(dst, mpFixArray|2, 8), m.SequenceID), nil
	case *Sequence:
		return appendMPInt(append(dst, mpFixArray|2, 9), m.SequenceID), nil
	case *Unknown:
		return appendMPInt(append(dst, mpFixArray|1), m.Type), nil
	}
	return nil, errors.New("unknown message")
}

func (c MessagePack) appendInvocation(dst []byte, m *Invocation) ([]byte, error) {
	if m.ArgumentsErr != nil {
		return nil, m.ArgumentsErr // nobody knows what they are
	}
	dst = appendMPHeaders(dst, m.Headers)
	dst = appendMPNullable(dst, m.InvocationID)
	dst = appendMPString(dst, m.Target)
	n := m.argumentCount()
	dst = appendMPLength(dst, n, mpFixArray, 15, mpArray16)
	for i := range n {
		raw, value := m.argument(i)
		var err error
		if dst, err = c.appendPayload(dst, raw, value); err != nil {
			return nil, &ValueError{Where: fmt.Sprintf("argument %d", i+1), Err: err}
		}
	}
	dst = appendMPLength(dst, len(m.StreamIDs), mpFixArray, 15, mpArray16)
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
	dst = appendMPHeaders(append(dst, mpFixArray|size, 3), m.Headers)
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
	r := mpReader{b: raw}
	if !r.skip(1) || r.left() > 0 {
		return nil, errNoMessagePack
	}
	return append(dst, raw...), nil
}

func appendMPHeaders(dst []byte, headers []Header) []byte {
	dst = appendMPLength(dst, len(headers), mpFixMap, 15, mpMap16)
	for _, h := range headers {
		dst = appendMPString(appendMPString(dst, h.Name), h.Value)
	}
	return dst
}

// appendMPLength appends the header of an array or map: fix is its lowest
// fixed code, up to limit, and wide its code with 16 bits, before that with 32.
func appendMPLength(dst []byte, n int, fix byte, limit int, wide byte) []byte {
	switch {
	case n <= limit:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, wide), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, wide+1), uint32(n))
}

// appendMPNullable appends s, or nil for an empty one.
func appendMPNullable(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, mpNil)
	}
	return appendMPString(dst, s)
}

// appendMPString appends s. What is not UTF-8 in it becomes U+FFFD.
func appendMPString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	switch n := len(s); {
	case n < 32:
		dst = append(dst, mpFixStr|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, mpStr8, byte(n))
	default:
		dst = appendMPLength(dst, n, 0, -1, mpStr16)
	}
	return append(dst, s...)
}

func appendMPBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, mpNil)
	}
	if len(b) <= math.MaxUint8 {
		dst = append(dst, mpBin8, byte(len(b)))
	} else {
		dst = appendMPLength(dst, len(b), 0, -1, mpBin16)
	}
	return append(dst, b...)
}

func appendMPBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, mpTrue)
	}
	return append(dst, mpFalse)
}

// appendMPInt appends n in its shortest form; numbers that are not negative
// take the unsigned formats.
func appendMPInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendMPUint(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, mpInt8, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, mpInt16), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, mpInt32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, mpInt64), uint64(n))
}

func appendMPUint(dst []byte, u uint64) []byte {
	switch {
	case u < 0x80:
		return append(dst, byte(u))
	case u <= math.MaxUint8:
		return append(dst, mpUint8, byte(u))
	case u <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, mpUint16), uint16(u))
	case u <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, mpUint32), uint32(u))
	}
	return binary.BigEndian.AppendUint64(append(dst, mpUint64), u)
}

func appendMPFloat32(dst []byte, f float32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, mpFloat32), math.Float32bits(f))
}

func appendMPFloat64(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, mpFloat64), math.Float64bits(f))
}
