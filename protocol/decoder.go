package protocol

import "strings"

// A Decoder reads the messages of one connection one after the other. What it
// returned is valid until the next call: it reuses its memory for the messages
// that come most often, and a message that is kept must be copied. The zero
// value is ready for Reset. A Decoder must not be copied; it is for one
// goroutine at a time.
type Decoder struct {
	codec   Codec
	way     decoderWay
	scratch scratch
}

type decoderWay uint8

const (
	decodeByCodec decoderWay = iota
	decodeJSON
	decodeMessagePack
)

// NewDecoder returns a Decoder of codec's messages, which must not be nil.
func NewDecoder(codec Codec) *Decoder {
	d := &Decoder{}
	d.Reset(codec)
	return d
}

// Reset makes d a Decoder of codec's messages and keeps its memory. It costs
// next to nothing.
func (d *Decoder) Reset(codec Codec) {
	d.codec, d.way = codec, decodeByCodec
	// A type that embeds JSON or MessagePack is a type of its own: its own Next
	// is called.
	switch codec.(type) {
	case JSON:
		d.way = decodeJSON
	case MessagePack:
		d.way = decodeMessagePack
	}
}

// Next decodes the first message of buf, as the codec's Next does; for a codec
// that is not of this package it calls that.
func (d *Decoder) Next(buf []byte) (m Message, rest []byte, err error) {
	switch d.way {
	case decodeJSON:
		return nextJSON(&d.scratch, buf)
	case decodeMessagePack:
		return nextMessagePack(&d.scratch, buf)
	}
	return d.codec.Next(buf)
}

// Unmarshal decodes a value of a message that Next has returned into what v points
// to, as the codec's Unmarshal does; raw must be such a value, as it was then. For
// JSON it takes less time, since Next has seen that it is valid. Several goroutines
// may call it.
func (d *Decoder) Unmarshal(raw Raw, v any) error {
	if d.way != decodeJSON {
		return d.codec.Unmarshal(raw, v)
	}
	c := d.codec.(JSON)
	if c.Values == nil && unmarshalJSONAny(raw, v) {
		return nil
	}
	if err := c.unmarshalToken(raw, v); err != nil {
		return errDecodeJSON(v, err)
	}
	return nil
}

// A scratch is memory for the parts of messages. A nil *scratch makes new
// memory for each.
type scratch struct {
	call   Invocation
	item   StreamItem
	raws   [4]Raw
	target string          // the last one: clients call the same method again and again
	ids    strings.Builder // invocation ids one after the other: many share one allocation
	lastID string          // of them: items of a stream have the same again and again
}

// idsSize is how much memory for ids is made at once. An id that is kept keeps
// that much memory in use.
const idsSize = 512

func (s *scratch) invocation() *Invocation {
	if s == nil {
		return &Invocation{}
	}
	s.call = Invocation{}
	return &s.call
}

func (s *scratch) streamItem() *StreamItem {
	if s == nil {
		return &StreamItem{}
	}
	return &s.item
}

// list returns a list of n arguments, not nil.
func (s *scratch) list(n int) []Raw {
	if s == nil || n > len(s.raws) {
		return make([]Raw, n)
	}
	return s.raws[:n:n]
}

// id returns b as a string, for an invocation id.
func (s *scratch) id(b []byte) string {
	if s == nil || len(b) > idsSize/8 {
		return string(b)
	}
	if string(b) == s.lastID { // does not allocate
		return s.lastID
	}
	if s.ids.Cap()-s.ids.Len() < len(b) {
		s.ids = strings.Builder{}
		s.ids.Grow(idsSize)
	}
	start := s.ids.Len()
	s.ids.Write(b)
	s.lastID = s.ids.String()[start:]
	return s.lastID
}

// text returns b as a string, for a target.
func (s *scratch) text(b []byte) string {
	if s == nil {
		return string(b)
	}
	if string(b) != s.target { // does not allocate
		s.target = string(b)
	}
	return s.target
}
