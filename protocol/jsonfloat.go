package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// appendJSONFloat appends f, which came from so many bits, in .NET's shortest
// form: 1E+20, 1.5E-05, and no fraction where there is none.
func appendJSONFloat(dst []byte, f float64, bits int) ([]byte, error) {
	start, abs := len(dst), math.Abs(f)
	limit, scientific := powersOf10[few64], 1e17
	if bits == 32 {
		limit, scientific = powersOf10[few32], 1e9
	}
	if abs >= 1e-4 && abs < limit {
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		if short, ok := appendUsual(dst, abs, bits); ok {
			return short, nil
		}
	}
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, fmt.Errorf("%v has no form in JSON", f)
	case abs != 0 && (abs < 1e-4 && (bits == 64 || float32(abs) < 1e-4) || abs >= scientific):
		return strconv.AppendFloat(dst[:start], f, 'E', -1, bits), nil
	}
	return strconv.AppendFloat(dst[:start], f, 'f', -1, bits), nil
}

// How many digits a number may have so that each has a float of its own. Then those of a
// float that has no more are its shortest, and need not be searched.
const (
	few64 = 15
	few32 = 6
)

// appendUsual appends f, which is at least 1e-4 and has few digits before its point, where
// the integers here suffice for it. strconv is for all floats, but with it alone
// BenchmarkPayloads/track_of_100_positions takes 1.9 times as long, and
// 200_sensor_readings 2.7 times.
func appendUsual(dst []byte, f float64, bits int) (_ []byte, ok bool) {
	whole := int64(f)
	if float64(whole) == f {
		return strconv.AppendInt(dst, whole, 10), true
	}
	// Most have two or three places. Both sides of the division are exact, so that it is
	// what a reader makes of the number.
	if bits == 64 {
		if n := math.RoundToEven(f * 1000); n/1000 == f && n < 1e15 {
			return appendThousandths(dst, whole, int64(n)-1000*whole), true
		}
	} else {
		if n := float32(math.RoundToEven(f * 1000)); n/1000 == float32(f) && n < 1e6 {
			return appendThousandths(dst, whole, int64(n)-1000*whole), true
		}
	}
	digits, places, ok := shortest(f, bits)
	if !ok {
		return dst, false
	}
	return appendPlacesOf(appendWhole(dst, whole), digits-uint64(whole)*tens[places], places), true
}

// appendWhole appends n, which is not negative, and a point.
func appendWhole(dst []byte, n int64) []byte {
	switch {
	case n < 10:
		return append(dst, byte('0'+n), '.')
	case n < 100:
		return append(dst, byte('0'+n/10), byte('0'+n%10), '.')
	}
	return append(strconv.AppendInt(dst, n, 10), '.')
}

// appendThousandths appends whole and so many thousandths, without zeros at the end. They
// are not 0.
func appendThousandths(dst []byte, whole, n int64) []byte {
	dst = append(appendWhole(dst, whole), byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
	switch {
	case n%100 == 0:
		return dst[:len(dst)-2]
	case n%10 == 0:
		return dst[:len(dst)-1]
	}
	return dst
}

// shortest returns f, which is not whole, as the number with the fewest digits that is
// nearer to it than to any other float, and how many of them are behind the point. It has
// at least few64 or few32, with zeros at the end. Of two numbers it is the one that is
// nearer to f. What is behind the point has at most 16 digits without the zeros before it.
func shortest(f float64, bits int) (digits uint64, places int, ok bool) {
	b := math.Float64bits(f)
	exponent := int(b>>52) - 1023
	few, all := few64, 17
	x := scaled{b&(1<<52-1) | 1<<52, uint(52 - exponent)}
	if bits == 32 {
		few, all = few32, 9
		x = scaled{x.mantissa >> 29, x.shift - 29}
	}
	if x.shift > 63 || x.mantissa&(x.mantissa-1) == 0 { // the float below a power of 2 is nearer than others
		return 0, 0, false
	}
	// f is at least 2 to the exponent, whose logarithm is at most that of f.
	places = few - 1 - exponent*1233>>12
	if digits, ok = x.round(places); digits >= tens[few] && places > 0 {
		places--
		digits, ok = x.round(places)
	}
	for n := few; !ok; n++ {
		if places++; n == all || places >= len(tens) {
			return 0, 0, false
		}
		digits, ok = x.round(places)
	}
	return digits, places, places <= 16 || digits < tens[16]
}

// A scaled is mantissa divided by 2 to the power of shift, which is 1 to 63.
type scaled struct {
	mantissa uint64
	shift    uint
}

// round returns the number that is nearest to x and has so many places, without its point;
// near says that x is what a reader makes of it. All is exact.
func (x scaled) round(places int) (number uint64, near bool) {
	power := tens[places]
	high, low := bits.Mul64(x.mantissa, power)
	number = high<<(-x.shift&63) | low>>(x.shift&63)
	unit := uint64(1) << (x.shift & 63)
	rest := low & (unit - 1) // of the last bit of x, times power
	if up := unit - rest; up < rest || up == rest && number&1 == 1 {
		number, rest = number+1, up
	}
	return number, 2*rest < power // half a unit is between x and the middle to its neighbour
}

// tens are the powers of 10 that fit into 64 bits.
var tens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// appendPlacesOf appends fraction, which has so many places, without the zeros at its end.
// It is not 0 and has at most 16 digits.
func appendPlacesOf(dst []byte, fraction uint64, places int) []byte {
	for ; places > 16; places-- {
		dst = append(dst, '0')
	}
	fraction *= tens[16-places]
	first, last := eightDigits(fraction/1e8), eightDigits(fraction%1e8)
	dst = slices.Grow(dst, 16)
	room := dst[len(dst) : len(dst)+16]
	binary.LittleEndian.PutUint64(room, first|zeros)
	binary.LittleEndian.PutUint64(room[8:], last|zeros)
	n := 16 - bits.LeadingZeros64(last)/8
	if last == 0 {
		n = 8 - bits.LeadingZeros64(first)/8
	}
	return dst[:len(dst)+n]
}

const zeros = 0x3030303030303030

// eightDigits returns the digits of n, which has no more, in the bytes of a word, the first
// lowest. Halves, quarters and bytes of it are divided at once.
func eightDigits(n uint64) uint64 {
	n = n/10_000 | n%10_000<<32
	hundreds := n * 10486 >> 20 & 0x7f0000007f // 10486 is 2 to the power of 20, divided by 100
	n = hundreds | (n-100*hundreds)<<16
	tens := n * 103 >> 10 & 0x000f000f000f000f
	return tens | (n-10*tens)<<8
}

// powersOf10 are those that a float64 holds exactly.
var powersOf10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// exactPower32 is the largest power of 10 that a float32 holds exactly.
const exactPower32 = 10

// parseFloat is the value of a JSON number. What is too large is infinite, as for
// .NET.
func parseFloat(number []byte, bits int) float64 {
	if f, ok := parseFewDigits(number, bits); ok {
		return f
	}
	f, _ := strconv.ParseFloat(string(number), bits)
	return f
}

// parseFewDigits reads a number whose digits, and the power of 10 that they are divided
// by, are floats: one division rounds as it should be.
func parseFewDigits(number []byte, bits int) (f float64, ok bool) {
	if len(number) > 18 { // it might not fit into digits
		return 0, false
	}
	digits, places, point := uint64(0), 0, 0
	for i, c := range number {
		switch {
		case c-'0' <= 9:
			digits = digits*10 + uint64(c-'0')
			places += point
		case c == '.':
			point = 1
		case c == '-' && i == 0:
		default:
			return 0, false
		}
	}
	switch {
	case bits == 32 && (digits >= 1<<24 || places > exactPower32), digits >= 1<<53:
		return 0, false
	case bits == 32:
		f = float64(float32(digits) / float32(powersOf10[places]))
	default:
		f = float64(digits) / powersOf10[places]
	}
	if number[0] == '-' {
		f = -f
	}
	return f, true
}
