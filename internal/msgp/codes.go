// Package msgp reads and appends the primitives of MessagePack. It is strict
// where .NET is: a length that is larger than the bytes that are left is no
// length, an integer that does not fit is no integer. Nothing that a peer
// announces allocates.
//
// Source: docs/reference/hub-protocol.md, section 3.
package msgp

// Codes of MessagePack. Those of the fixed families are their lowest.
const (
	FixMap   = 0x80
	FixArray = 0x90
	FixStr   = 0xa0
	Nil      = 0xc0
	Never    = 0xc1 // is no code
	False    = 0xc2
	True     = 0xc3
	Bin8     = 0xc4
	Bin16    = 0xc5
	Bin32    = 0xc6
	Ext8     = 0xc7
	Ext16    = 0xc8
	Ext32    = 0xc9
	Float32  = 0xca
	Float64  = 0xcb
	Uint8    = 0xcc
	Uint16   = 0xcd
	Uint32   = 0xce
	Uint64   = 0xcf
	Int8     = 0xd0
	Int16    = 0xd1
	Int32    = 0xd2
	Int64    = 0xd3
	FixExt1  = 0xd4
	FixExt2  = 0xd5
	FixExt4  = 0xd6
	FixExt8  = 0xd7
	FixExt16 = 0xd8
	Str8     = 0xd9
	Str16    = 0xda
	Str32    = 0xdb
	Array16  = 0xdc
	Array32  = 0xdd
	Map16    = 0xde
	Map32    = 0xdf
	Negative = 0xe0
)

// A Kind is what a code begins.
type Kind uint8

const (
	KindNever Kind = iota
	KindNil
	KindBool
	KindInteger
	KindFloat
	KindStr
	KindBin
	KindArray
	KindMap
	KindExt
)

// KindOf returns what code begins.
func KindOf(code byte) Kind { return kinds[code] }

// kinds are those of all codes: what comes is not foreseen by the processor, and a table
// has no branches. BenchmarkPayloads/document_without_a_type takes 1.06 times as long to
// decode without.
var kinds = func() (kinds [256]Kind) {
	for code := range 256 {
		kinds[code] = kindOf(byte(code))
	}
	return kinds
}()

func kindOf(code byte) Kind {
	switch {
	case code < FixMap || code >= Negative || code >= Uint8 && code <= Int64:
		return KindInteger
	case code < FixArray || code >= Map16:
		return KindMap
	case code < FixStr || code >= Array16:
		return KindArray
	case code < Nil || code >= Str8:
		return KindStr
	case code >= FixExt1 || code >= Ext8 && code <= Ext32:
		return KindExt
	case code >= Float32:
		return KindFloat
	case code >= Bin8:
		return KindBin
	case code >= False:
		return KindBool
	case code == Nil:
		return KindNil
	}
	return KindNever
}
