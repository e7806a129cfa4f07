package protocol

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/vmihailenco/msgpack/v5"
)

// AppendValue appends v as MessagePack.
func (c MessagePack) AppendValue(dst []byte, v any) ([]byte, error) {
	var out []byte
	var err error
	if raw, ok := v.(Raw); ok && raw != nil {
		out, err = c.appendPayload(dst, raw, nil)
	} else {
		out, err = appendMPValue(dst, v)
	}
	if err != nil {
		return dst, fmt.Errorf("encode %T as MessagePack: %w", v, err)
	}
	return out, nil
}

func appendMPValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, mpNil), nil
	case string:
		return appendMPString(dst, v), nil
	case bool:
		return appendMPBool(dst, v), nil
	case int:
		return appendMPInt(dst, int64(v)), nil
	case int8:
		return appendMPInt(dst, int64(v)), nil
	case int16:
		return appendMPInt(dst, int64(v)), nil
	case int32:
		return appendMPInt(dst, int64(v)), nil
	case int64:
		return appendMPInt(dst, v), nil
	case uint:
		return appendMPUint(dst, uint64(v)), nil
	case uint8:
		return appendMPUint(dst, uint64(v)), nil
	case uint16:
		return appendMPUint(dst, uint64(v)), nil
	case uint32:
		return appendMPUint(dst, uint64(v)), nil
	case uint64:
		return appendMPUint(dst, v), nil
	case float32:
		return appendMPFloat32(dst, v), nil
	case float64:
		return appendMPFloat64(dst, v), nil
	case []byte:
		return appendMPBytes(dst, v), nil
	case Raw:
		if v == nil {
			return append(dst, mpNil), nil
		}
		return MessagePack{}.appendPayload(dst, v, nil)
	}
	var buf bytes.Buffer
	e := msgpack.GetEncoder()
	defer msgpack.PutEncoder(e)
	e.Reset(&buf)
	e.UseCompactInts(true)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return append(dst, buf.Bytes()...), nil
}

// Unmarshal decodes raw into what v points to.
func (MessagePack) Unmarshal(raw Raw, v any) error {
	if err := unmarshalMP(raw, v); err != nil {
		return fmt.Errorf("decode MessagePack into %T: %w", v, err)
	}
	return nil
}

func unmarshalMP(raw Raw, v any) error {
	r := mpReader{b: raw}
	if !r.skip(1) || r.left() > 0 {
		return errNoMessagePack
	}
	r.i = 0
	null := r.code() == mpNil
	ok := true
	switch p := v.(type) {
	case *Raw:
		*p = bytes.Clone(raw)
	case *string:
		if null {
			*p = ""
			return nil
		}
		var s []byte
		if s, ok = r.str(); ok {
			*p = mpText(s)
		}
	case *bool:
		var b bool
		if b, ok = r.boolean(); ok {
			*p = b
		}
	case *int:
		ok = readInt(&r, strconv.IntSize, p)
	case *int8:
		ok = readInt(&r, 8, p)
	case *int16:
		ok = readInt(&r, 16, p)
	case *int32:
		ok = readInt(&r, 32, p)
	case *int64:
		ok = readInt(&r, 64, p)
	case *uint:
		ok = readUint(&r, strconv.IntSize, p)
	case *uint8:
		ok = readUint(&r, 8, p)
	case *uint16:
		ok = readUint(&r, 16, p)
	case *uint32:
		ok = readUint(&r, 32, p)
	case *uint64:
		ok = readUint(&r, 64, p)
	case *float32:
		ok = readFloat(&r, p)
	case *float64:
		ok = readFloat(&r, p)
	default:
		return msgpack.Unmarshal(raw, v)
	}
	if !ok {
		if null {
			return errNull
		}
		return errKind
	}
	return nil
}

func readInt[T int | int8 | int16 | int32 | int64](r *mpReader, bits int, p *T) bool {
	n, ok := r.signed(bits)
	if ok {
		*p = T(n)
	}
	return ok
}

func readUint[T uint | uint8 | uint16 | uint32 | uint64](r *mpReader, bits int, p *T) bool {
	u, ok := r.unsigned(bits)
	if ok {
		*p = T(u)
	}
	return ok
}

func readFloat[T float32 | float64](r *mpReader, p *T) bool {
	f, ok := r.float()
	if ok {
		*p = T(f)
	}
	return ok
}
