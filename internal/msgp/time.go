package msgp

import (
	"encoding/binary"
	"time"
)

// timeExt is the type of the extension that is a time.
const timeExt = -1

// AppendTime appends t, in 100 ns as .NET counts, in the shortest of its three
// forms.
func AppendTime(dst []byte, t time.Time) []byte {
	seconds, nanos := t.Unix(), uint64(t.Nanosecond()/100*100)
	switch {
	case seconds>>34 != 0:
		dst = binary.BigEndian.AppendUint32(append(dst, Ext8, 12, 0xff), uint32(nanos))
		return binary.BigEndian.AppendUint64(dst, uint64(seconds))
	case nanos != 0 || seconds>>32 != 0:
		return binary.BigEndian.AppendUint64(append(dst, FixExt8, 0xff), nanos<<34|uint64(seconds))
	}
	return binary.BigEndian.AppendUint32(append(dst, FixExt4, 0xff), uint32(seconds))
}

// Time passes a time in any of its three forms and returns it in UTC.
func (r *Reader) Time() (t time.Time, ok bool) {
	start := r.i
	kind, data, ok := r.Ext()
	if ok && kind == timeExt {
		switch len(data) {
		case 4:
			return time.Unix(int64(binary.BigEndian.Uint32(data)), 0).UTC(), true
		case 8:
			u := binary.BigEndian.Uint64(data)
			return time.Unix(int64(u&(1<<34-1)), int64(u>>34)).UTC(), true
		case 12:
			return time.Unix(int64(binary.BigEndian.Uint64(data[4:])), int64(binary.BigEndian.Uint32(data))).UTC(), true
		}
	}
	r.i = start
	return time.Time{}, false
}
