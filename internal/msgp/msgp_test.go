package msgp

import (
	"bytes"
	"math"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// standard is what vmihailenco/msgpack writes in the shortest form.
func standard(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestIntegersAtEveryBoundAreShortAndComeBack(t *testing.T) {
	for bits := range 64 {
		for _, n := range []int64{1<<bits - 1, 1 << bits, 1<<bits + 1, -1 << bits, -1<<bits - 1, -1<<bits + 1} {
			b := AppendInt(nil, n)
			if want := standard(t, n); n < 0 && !bytes.Equal(b, want) || n >= 0 && !bytes.Equal(b, standard(t, uint64(n))) {
				t.Errorf("AppendInt(%d) = %x, want %x", n, b, want)
			}
			r := NewReader(b)
			if got, ok := r.Signed(64); !ok || got != n || r.Left() > 0 {
				t.Errorf("%x is %d, %v, %d bytes left, want %d", b, got, ok, r.Left(), n)
			}
			for _, size := range []int{8, 16, 32} {
				r := NewReader(b)
				_, ok := r.Signed(size)
				if fits := n >= -1<<(size-1) && n < 1<<(size-1); ok != fits || ok == (r.Left() == len(b)) {
					t.Errorf("%d in %d bits: %v, %d bytes left", n, size, ok, r.Left())
				}
				r = NewReader(b)
				_, ok = r.Unsigned(size)
				if fits := n >= 0 && n < 1<<size; ok != fits || ok == (r.Left() == len(b)) {
					t.Errorf("%d in %d bits without a sign: %v, %d bytes left", n, size, ok, r.Left())
				}
			}
		}
	}
	for size, most := range map[int]uint64{1: math.MaxUint8, 2: math.MaxUint16, 4: math.MaxUint32, 8: math.MaxUint64} {
		for _, u := range []uint64{0, 1, most} {
			r := NewReader(AppendWideUint(nil, u, size))
			if got, ok := r.Unsigned(64); !ok || got != u || len(r.b) != 1+size {
				t.Errorf("AppendWideUint(%d, %d) = %x", u, size, r.b)
			}
			n := int64(u<<(64-8*size)) >> (64 - 8*size)
			r = NewReader(AppendWideInt(nil, n, size))
			if got, ok := r.Signed(8 * size); !ok || got != n || len(r.b) != 1+size {
				t.Errorf("AppendWideInt(%d, %d) = %x", n, size, r.b)
			}
		}
	}
}

func TestWhatIsLongerThanItsBytesIsNotRead(t *testing.T) {
	var whole [][]byte
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		text := bytes.Repeat([]byte{'a'}, n)
		list := AppendArray(nil, n)
		dict := AppendMap(nil, n)
		whole = append(whole, standard(t, string(text)), standard(t, text), append(list, make([]byte, n)...), append(dict, make([]byte, 2*n)...))
		if got := AppendString(nil, string(text)); !bytes.Equal(got, standard(t, string(text))) {
			t.Errorf("AppendString of %d bytes begins %x", n, got[:min(len(got), 6)])
		}
		if got := AppendBytes(nil, text); !bytes.Equal(got, standard(t, text)) {
			t.Errorf("AppendBytes of %d bytes begins %x", n, got[:min(len(got), 6)])
		}
	}
	for _, c := range []byte{FixExt1, FixExt2, FixExt4, FixExt8, FixExt16} {
		whole = append(whole, append([]byte{c, 5}, make([]byte, 1<<(c-FixExt1))...))
	}
	whole = append(whole, []byte{Ext8, 2, 5, 0, 0}, []byte{Ext16, 0, 1, 5, 0}, []byte{Ext32, 0, 0, 0, 0, 5}, []byte{Nil}, []byte{True},
		AppendFloat32(nil, 1), AppendFloat64(nil, 1), AppendWideInt(nil, 1, 1), AppendWideInt(nil, 1, 2), AppendWideInt(nil, 1, 4), AppendWideInt(nil, 1, 8))
	for _, b := range whole {
		r := NewReader(b)
		if raw, ok := r.Value(); !ok || !bytes.Equal(raw, b) || r.Left() > 0 {
			t.Errorf("%.20x... of %d bytes is no value", b, len(b))
		}
		for _, n := range []int{0, 1, 2, 3, 4, len(b) / 2, len(b) - 1} {
			if n >= len(b) {
				continue
			}
			r := NewReader(b[:n])
			if _, ok := r.Value(); ok || r.Left() != n {
				t.Errorf("%d of the %d bytes of %.20x... are a value", n, len(b), b)
			}
		}
	}
}

func TestEveryCodeHasItsKindAndNoOther(t *testing.T) {
	tail := bytes.Repeat([]byte{0}, 64)
	for code := range 256 {
		b := append([]byte{byte(code)}, tail...)
		read := map[Kind]func(r *Reader) bool{
			KindNil: (*Reader).Nil, KindBool: func(r *Reader) bool { _, ok := r.Bool(); return ok },
			KindInteger: func(r *Reader) bool { _, _, ok := r.Integer(); return ok },
			KindFloat:   func(r *Reader) bool { _, ok := r.Float(); return ok && KindOf(byte(code)) != KindInteger },
			KindStr:     func(r *Reader) bool { _, ok := r.Str(); return ok }, KindBin: func(r *Reader) bool { _, ok := r.Bin(); return ok },
			KindArray: func(r *Reader) bool { _, ok := r.Array(); return ok }, KindMap: func(r *Reader) bool { _, ok := r.Map(); return ok },
			KindExt: func(r *Reader) bool { _, _, ok := r.Ext(); return ok },
		}
		for kind, f := range read {
			r := NewReader(b)
			if got, want := f(&r), KindOf(byte(code)) == kind; got != want {
				t.Errorf("code %#x is of kind %d; read as %d: %v", code, KindOf(byte(code)), kind, got)
			}
		}
	}
}

func TestShallowStopsWhereAValueNestsTooDeep(t *testing.T) {
	for _, depth := range []int{0, 1, 5, 1000} {
		b := append(bytes.Repeat([]byte{FixArray | 1}, depth), Nil)
		for limit, want := range map[int]bool{depth - 1: false, depth: true, depth + 1: true} {
			r := NewReader(b)
			raw, ok := r.Shallow(limit)
			if ok != (want || depth == 0) || ok && !bytes.Equal(raw, b) || !ok && r.Left() != len(b) {
				t.Errorf("%d arrays with %d allowed: %v", depth, limit, ok)
			}
		}
	}
	r := NewReader([]byte{FixArray | 2, FixArray})
	if _, ok := r.Shallow(5); ok || r.Left() != 2 {
		t.Error("an array without its second element is passed")
	}
}
