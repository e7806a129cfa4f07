package ws

import (
	"encoding/binary"
	"math/bits"
)

// Cipher masks p, or unmasks it, with the mask of its frame. at is where p
// begins in the frame's payload.
func Cipher(p []byte, mask [4]byte, at int) {
	key := bits.RotateLeft32(binary.LittleEndian.Uint32(mask[:]), -8*(at&3))
	wide := uint64(key)<<32 | uint64(key)
	for ; len(p) >= 64; p = p[64:] {
		b := p[:64:64] // one check of the bounds for all eight
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^wide)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^wide)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^wide)
		binary.LittleEndian.PutUint64(b[32:], binary.LittleEndian.Uint64(b[32:])^wide)
		binary.LittleEndian.PutUint64(b[40:], binary.LittleEndian.Uint64(b[40:])^wide)
		binary.LittleEndian.PutUint64(b[48:], binary.LittleEndian.Uint64(b[48:])^wide)
		binary.LittleEndian.PutUint64(b[56:], binary.LittleEndian.Uint64(b[56:])^wide)
	}
	for ; len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
	}
	for i := range p {
		p[i] ^= byte(wide >> (8 * i))
	}
}
