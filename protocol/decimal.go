package protocol

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// A Decimal is .NET's decimal: a signed integer of 96 bits with up to 28 of its
// digits after the point. It keeps the zeros after the point: 12.50 is not
// written as 12.5, though the two are equal in .NET. In JSON it is a number, in
// MessagePack a string of its digits. Digits that do not fit are rounded half
// to even; a number that is too large is an error. The zero value is 0. Two
// Decimals are equal by == if they have the same digits.
type Decimal struct {
	negative bool
	scale    uint8 // digits after the point
	high     uint32
	low      uint64
}

// maxDecimalScale is how many digits may follow the point.
const maxDecimalScale = 28

// maxDecimalDigits is how many digits of a text are looked at one by one; what
// follows can only break a tie. The largest Decimal has 29.
const maxDecimalDigits = 60

var errDecimal = errors.New("text is not a decimal number, or too large for one")

// NewDecimal returns unscaled / 10^scale: NewDecimal(1250, 2) is 12.50. The
// scale must be from 0 to 28; others are taken as the nearest of these.
func NewDecimal(unscaled int64, scale int) Decimal {
	d := Decimal{scale: uint8(max(0, min(scale, maxDecimalScale))), low: uint64(unscaled)}
	if unscaled < 0 {
		d.negative, d.low = true, -d.low
	}
	return d
}

// ParseDecimal reads digits with an optional sign, point and exponent.
func ParseDecimal(s string) (Decimal, error) {
	if d, ok := shortDecimal(s); ok {
		return d, nil
	}
	digits, scale, negative, ok := cutDecimal(s)
	if !ok {
		return Decimal{}, errDecimal
	}
	n, _ := new(big.Int).SetString("0"+digits, 10)
	if n.Sign() == 0 {
		return Decimal{scale: uint8(max(0, min(scale, maxDecimalScale)))}, nil
	}
	switch {
	case scale < -maxDecimalDigits, scale > 2*maxDecimalDigits+maxDecimalScale:
		if scale < 0 {
			return Decimal{}, errDecimal
		}
		return Decimal{scale: maxDecimalScale}, nil // too small: it is rounded to zero
	case scale < 0:
		n.Mul(n, powerOfTen(-scale))
		scale = 0
	}
	exact, places := n, scale // which is rounded once
	if scale > maxDecimalScale {
		scale = maxDecimalScale
		n = divideToEven(exact, powerOfTen(places-scale))
	}
	for n.BitLen() > 96 {
		if scale--; scale < 0 {
			return Decimal{}, errDecimal
		}
		n = divideToEven(exact, powerOfTen(places-scale))
	}
	d := Decimal{scale: uint8(scale), low: new(big.Int).And(n, maxUint64).Uint64(), high: uint32(new(big.Int).Rsh(n, 64).Uint64())}
	d.negative = negative && n.Sign() != 0
	return d, nil
}

// shortDecimal reads what has no exponent and so few digits that a uint64 holds
// them, as nearly all have; else ok is false.
func shortDecimal[T string | []byte](s T) (d Decimal, ok bool) {
	digits, point := 0, -1 // point is how many digits are before it
	for i := range len(s) {
		switch c := s[i]; {
		case c-'0' <= 9 && digits < 19:
			d.low = d.low*10 + uint64(c-'0')
			digits++
		case c == '.' && point < 0:
			point = digits
		case (c == '-' || c == '+') && i == 0:
			d.negative = c == '-'
		default:
			return Decimal{}, false
		}
	}
	if digits == 0 || point == digits {
		return Decimal{}, false
	}
	if point >= 0 {
		d.scale = uint8(digits - point)
	}
	d.negative = d.negative && d.low != 0
	return d, true
}

var maxUint64 = new(big.Int).SetUint64(1<<64 - 1)

func powerOfTen(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// divideToEven is n / by, rounded half to even.
func divideToEven(n, by *big.Int) *big.Int {
	quotient, rest := new(big.Int).QuoRem(n, by, new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(by) {
	case 1:
		quotient.Add(quotient, big.NewInt(1))
	case 0:
		quotient.Add(quotient, big.NewInt(int64(quotient.Bit(0))))
	}
	return quotient
}

// cutDecimal takes s apart: its value is digits / 10^scale. Of very many digits
// it keeps the first ones, and one more that is not zero if any of the rest is
// not zero.
func cutDecimal(s string) (digits string, scale int, negative, ok bool) {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	exponent := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(s[i+1:]); err != nil || exponent < -1<<30 || exponent > 1<<30 {
			return "", 0, false, false
		}
		s = s[:i]
	}
	whole, fraction, point := strings.Cut(s, ".")
	digits = whole + fraction
	if digits == "" || point && fraction == "" || strings.Trim(digits, "0123456789") != "" {
		return "", 0, false, false
	}
	scale = len(fraction) - exponent
	if digits = strings.TrimLeft(digits, "0"); len(digits) > maxDecimalDigits {
		kept, rest := digits[:maxDecimalDigits], digits[maxDecimalDigits:]
		if strings.Trim(rest, "0") != "" {
			rest, kept = rest[1:], kept+"1"
		}
		digits, scale = kept, scale-len(rest)
	}
	return digits, scale, negative, true
}

// String returns the digits of d.
func (d Decimal) String() string { return string(d.appendText(make([]byte, 0, 32))) }

func (d Decimal) appendText(dst []byte) []byte {
	var memory [32]byte
	digits := strconv.AppendUint(memory[:0], d.low, 10)
	if d.high != 0 {
		n := new(big.Int).Lsh(big.NewInt(int64(d.high)), 64)
		digits = n.Or(n, new(big.Int).SetUint64(d.low)).Append(digits[:0], 10)
	}
	if d.negative {
		dst = append(dst, '-')
	}
	whole := len(digits) - int(d.scale) // how many digits are before the point
	switch {
	case d.scale == 0:
		return append(dst, digits...)
	case whole > 0:
		dst = append(append(dst, digits[:whole]...), '.')
		return append(dst, digits[whole:]...)
	}
	dst = append(dst, "0."...)
	for ; whole < 0; whole++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// Float64 returns the nearest float64.
func (d Decimal) Float64() float64 {
	f, _ := strconv.ParseFloat(d.String(), 64) // never out of range
	return f
}

// MarshalJSON implements json.Marshaler.
func (d Decimal) MarshalJSON() ([]byte, error) { return d.appendJSON(nil) }

func (d Decimal) appendJSON(dst []byte) ([]byte, error) { return d.appendText(dst), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	if !isNumber(first(b)) {
		return wrongKind(first(b))
	}
	return d.UnmarshalText(b)
}

// MarshalText implements encoding.TextMarshaler.
func (d Decimal) MarshalText() ([]byte, error) { return d.appendText(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Decimal) UnmarshalText(text []byte) error {
	parsed, ok := shortDecimal(text)
	if !ok {
		var err error
		if parsed, err = ParseDecimal(string(text)); err != nil {
			return err
		}
	}
	*d = parsed
	return nil
}
