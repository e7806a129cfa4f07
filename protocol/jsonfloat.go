package protocol

import (
	"fmt"
	"math"
	"strconv"
)

// appendJSONFloat appends f, which came from so many bits, in .NET's shortest
// form: 1E+20, 1.5E-05, and no fraction where there is none.
func appendJSONFloat(dst []byte, f float64, bits int) ([]byte, error) {
	abs, few, scientific := math.Abs(f), fewDigits, 1e17
	if bits == 32 {
		few, scientific = fewDigits32, 1e9
	}
	start := len(dst)
	if abs >= 1e-4 && abs < powersOf10[few] {
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		if short, ok := appendFewDigits(dst, abs, few); ok {
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
	fewDigits   = 15 // of a float64
	fewDigits32 = 6
)

// appendFewDigits appends f, which is at least 1e-4 and has at most few digits before its
// point, if it has no more in all. Others have several candidates, from which strconv
// takes the nearest. Without it BenchmarkPayloads/200_sensor_readings takes nearly twice as
// long.
func appendFewDigits(dst []byte, f float64, few int) (_ []byte, ok bool) {
	if whole := int64(f); float64(whole) == f {
		return strconv.AppendInt(dst, whole, 10), true
	}
	// f is at least 2 to the exponent, whose logarithm is at most that of f.
	exponent := int(math.Float64bits(f)>>52) - 1023
	all := few - 1 - exponent*1233>>12
	for _, places := range [...]int{min(3, all), all, max(all-1, 0)} { // most have two or three
		number := math.RoundToEven(f * powersOf10[places])
		// Both are exact, so that this is what a reader makes of the digits.
		back := number / powersOf10[places]
		switch {
		case number >= powersOf10[few]:
		case back == f || few == fewDigits32 && float32(back) == float32(f):
			return appendDecimal(dst, uint64(int64(number)), places), true
		case places == all:
			return dst, false
		}
	}
	return dst, false
}

// appendDecimal appends number with so many places after its point, but none that are 0.
// There is one that is not.
func appendDecimal(dst []byte, number uint64, places int) []byte {
	for number%10_000 == 0 {
		number, places = number/10_000, places-4
	}
	for number%10 == 0 {
		number, places = number/10, places-1
	}
	var text [24]byte
	i := len(text)
	for ; places > 0; places-- {
		i--
		text[i], number = byte('0'+number%10), number/10
	}
	i--
	text[i] = '.'
	for more := true; more; more = number > 0 {
		i--
		text[i], number = byte('0'+number%10), number/10
	}
	return append(dst, text[i:]...)
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
