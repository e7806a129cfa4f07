package protocol

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// sameAsStrconv holds one number, as float64 and as float32, against strconv, which
// searches for the shortest digits and reads by another way.
func sameAsStrconv(t *testing.T, f float64) {
	t.Helper()
	for _, bits := range []int{32, 64} {
		if bits == 32 {
			f = float64(float32(f))
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		got, err := appendJSONFloat([]byte("x"), f, bits)
		format := byte('f')
		if bytes.IndexByte(got, 'E') > 0 { // TestJSONFloats has where that begins
			format = 'E'
		}
		if want := strconv.AppendFloat([]byte("x"), f, format, -1, bits); err != nil || string(got) != string(want) {
			t.Fatalf("appendJSONFloat(%v, %d) = %s, error %v, want %s", f, bits, got, err, want)
		}
		if back := parseFloat(got[1:], bits); back != f || math.Signbit(back) != math.Signbit(f) {
			t.Fatalf("parseFloat(%s, %d) = %v", got[1:], bits, back)
		}
	}
}

func sameNumber(t *testing.T, number string) {
	t.Helper()
	for _, bits := range []int{32, 64} {
		want, _ := strconv.ParseFloat(number, bits)
		if got := parseFloat([]byte(number), bits); math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("parseFloat(%s, %d) = %v, want %v", number, bits, got, want)
		}
	}
}

func TestFloatsAreWrittenAndReadAsStrconvDoes(t *testing.T) {
	for _, power := range powersOf10 { // and what is beside them
		for _, f := range []float64{power, 1 / power, power - 0.5, power + 0.25, power * 1.5} {
			for _, f := range []float64{f, -f, math.Nextafter(f, 0), math.Nextafter(f, math.Inf(1)), float64(math.Nextafter32(float32(f), 0))} {
				sameAsStrconv(t, f)
			}
		}
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1<<53 - 1, 1 << 53, 1<<53 + 2, 1<<24 - 1, 1 << 24, 1<<24 + 1, 999999999999999.9, 99999999999999.94, 999999.94, 9999995e-1, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		sameAsStrconv(t, f)
		sameAsStrconv(t, -f)
	}
	for range 100_000 {
		sameAsStrconv(t, math.Float64frombits(rand.Uint64()))
		sameAsStrconv(t, math.Exp(rand.Float64()*44-9.3)) // from 1e-4 to 1e15
		// With a few bits behind the point: numbers of 16 and 17 digits on both sides may be as
		// near.
		sameAsStrconv(t, float64(rand.Uint64N(1<<53)>>rand.IntN(53)|1)/float64(uint64(1)<<rand.IntN(60)))
		digits, places := rand.Uint64N(uint64(powersOf10[1+rand.IntN(17)])), rand.IntN(23)
		sameAsStrconv(t, float64(digits)/powersOf10[places])
		number := string(appendPlaces(nil, digits, places))
		sameNumber(t, number)
		sameNumber(t, "-"+number+"e"+strconv.Itoa(rand.IntN(20)))
	}
	for _, number := range []string{"0", "-0", "0.0", "-0.000", "9007199254740991", "9007199254740992", "9007199254740993", "16777215", "16777217", "16777217.0", "123456789012345678", "1234567890123456789", "0.1234567890123456", "0.12345678901", "0.00000000001", "1e400", "-1e400", "1E-400", "2e0"} {
		sameNumber(t, number)
	}
}

// appendPlaces appends digits with a point before the last places of them.
func appendPlaces(dst []byte, digits uint64, places int) []byte {
	text := strconv.AppendUint(nil, digits, 10)
	for len(text) <= places {
		text = append([]byte{'0'}, text...)
	}
	dst = append(dst, text[:len(text)-places]...)
	if places > 0 {
		dst = append(append(dst, '.'), text[len(text)-places:]...)
	}
	return dst
}

func FuzzJSONFloat(f *testing.F) {
	for _, seed := range []float64{0, 0.1, 101.375, 52.520008, 1e15, 123456.78, 1.0 / 3} {
		f.Add(math.Float64bits(seed), uint64(seed*1e6), uint8(6))
	}
	f.Fuzz(func(t *testing.T, bits, digits uint64, places uint8) {
		sameAsStrconv(t, math.Float64frombits(bits))
		sameAsStrconv(t, float64(digits)/powersOf10[int(places)%len(powersOf10)])
		sameNumber(t, string(appendPlaces(nil, digits, int(places))))
	})
}
