package transport

import "unicode/utf8"

// runeCheck checks text that comes in parts cut anywhere.
type runeCheck struct {
	part [utf8.UTFMax]byte // of a rune that has not arrived whole
	n    uint8
}

// check reports whether p goes on validly; end says that the text ends with it.
func (u *runeCheck) check(p []byte, end bool) bool {
	for u.n > 0 && len(p) > 0 {
		u.part[u.n] = p[0]
		u.n++
		p = p[1:]
		if utf8.FullRune(u.part[:u.n]) {
			if !utf8.Valid(u.part[:u.n]) {
				return false
			}
			u.n = 0
		}
	}
	if u.n == 0 {
		p = u.cutTail(p)
	}
	return utf8.Valid(p) && !(end && u.n > 0)
}

// cutTail keeps a rune that begins at the end of p but is not whole, and
// returns what is before it.
func (u *runeCheck) cutTail(p []byte) []byte {
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax; i-- {
		if !utf8.RuneStart(p[i]) {
			continue
		}
		if !utf8.FullRune(p[i:]) {
			u.n = uint8(copy(u.part[:], p[i:]))
			return p[:i]
		}
		break
	}
	return p
}
