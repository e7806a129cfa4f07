package wire

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hubwire/hubwire/internal/msgp"
)

// A coder reads the items of a message, or appends them: a message lists its
// items once, so that reading and writing cannot differ. The first item that
// cannot be read ends the reading: those after it keep what they have.
type coder struct {
	reading bool
	in      msgp.Reader
	length  int    // of the array that is read
	bad     string // the item that could not be read
	out     []byte
}

// begin appends the header of an array of n items, and its first, the type.
func (c *coder) begin(m Message, n int) {
	if !c.reading {
		c.out = msgp.AppendInt(msgp.AppendArray(c.out, n), int64(m.Type()))
	}
}

// has reports whether the array has at least n items. What is appended has all.
func (c *coder) has(n int) bool { return !c.reading || c.length >= n }

// check notes that an item could not be read. Nothing can be read after it.
func (c *coder) check(ok bool, item string) {
	if !ok && c.bad == "" {
		c.bad = item
		c.in = msgp.Reader{}
	}
}

func (c *coder) text(item string, p *string) {
	if !c.reading {
		c.out = msgp.AppendString(c.out, *p)
		return
	}
	b, ok := c.in.Str()
	c.check(ok, item)
	*p = validText(b)
}

// validText has U+FFFD for what is not UTF-8.
func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string([]rune(string(b)))
}

// textOrNil is text that is "" where others wrote nil.
func (c *coder) textOrNil(item string, p *string) {
	if c.reading && c.in.Nil() {
		*p = ""
		return
	}
	c.text(item, p)
}

func (c *coder) optional(item string, p **string) {
	if !c.reading {
		c.appendText(Text(*p), *p == nil)
		return
	}
	if *p = nil; !c.in.Nil() {
		*p = new(string)
		c.text(item, *p)
	}
}

func (c *coder) appendText(text string, null bool) {
	if null {
		c.out = append(c.out, msgp.Nil)
	} else {
		c.out = msgp.AppendString(c.out, text)
	}
}

func (c *coder) int(item string, p *int) {
	if !c.reading {
		c.out = msgp.AppendInt(c.out, int64(*p))
		return
	}
	n, ok := c.in.Signed(32)
	c.check(ok, item)
	*p = int(n)
}

func (c *coder) optionalInt(item string, p **int) {
	if !c.reading {
		if *p == nil {
			c.out = append(c.out, msgp.Nil)
		} else {
			c.int(item, *p)
		}
		return
	}
	if *p = nil; !c.in.Nil() {
		*p = new(int)
		c.int(item, *p)
	}
}

// wideInt is a number from 1 to most that is written in four bytes.
func (c *coder) wideInt(item string, p *int, most int) {
	if !c.reading {
		c.out = msgp.AppendWideInt(c.out, int64(*p), 4)
		return
	}
	c.int(item, p)
	c.check(*p >= 1 && *p <= most, item)
}

func (c *coder) bool(item string, p *bool) {
	if !c.reading {
		c.out = msgp.AppendBool(c.out, *p)
		return
	}
	var ok bool
	*p, ok = c.in.Bool()
	c.check(ok, item)
}

// bytes are empty where others wrote nil. Text is taken for bytes.
func (c *coder) bytes(item string, p *[]byte) {
	if !c.reading {
		c.out = msgp.AppendBytes(c.out, *p)
		return
	}
	c.optionalBytes(item, p)
	if *p == nil {
		*p = []byte{}
	}
}

func (c *coder) optionalBytes(item string, p *[]byte) {
	if !c.reading {
		if *p == nil {
			c.out = append(c.out, msgp.Nil)
		} else {
			c.out = msgp.AppendBytes(c.out, *p)
		}
		return
	}
	if *p = nil; c.in.Nil() {
		return
	}
	var ok bool
	if *p, ok = c.in.Bin(); !ok {
		*p, ok = c.in.Str()
	}
	c.check(ok, item)
}

// few is how many entries are allocated for a count before they are read.
const few = 16

// list drops nil among its texts.
func (c *coder) list(item string, p *[]string) {
	if !c.reading {
		c.out = msgp.AppendArray(c.out, len(*p))
		for _, text := range *p {
			c.out = msgp.AppendString(c.out, text)
		}
		return
	}
	n, ok := c.in.Array()
	c.check(ok, item)
	texts, nilAt := c.readTexts(item, n)
	for _, i := range slices.Backward(nilAt) {
		texts = slices.Delete(texts, i, i+1)
	}
	*p = texts
}

// readTexts reads n texts. nilAt has the indexes of those that were nil.
func (c *coder) readTexts(item string, n int) (texts []string, nilAt []int) {
	if n > 0 && c.bad == "" {
		texts = make([]string, 0, min(n, few))
	}
	for i := 0; i < n && c.bad == ""; i++ {
		var text string
		if c.in.Nil() {
			nilAt = append(nilAt, i)
		} else {
			c.text(item, &text)
		}
		texts = append(texts, text)
	}
	return texts, nilAt
}

func (c *coder) claims(item string, p *[]Claim) {
	if !c.reading {
		c.out = msgp.AppendMap(c.out, len(*p))
		for _, claim := range *p {
			c.out = msgp.AppendString(msgp.AppendString(c.out, claim.Type), claim.Value)
		}
		return
	}
	*p = nil
	n, ok := c.in.Map()
	for c.check(ok, item); n > 0 && c.bad == ""; n-- {
		var claim Claim
		c.text(item, &claim.Type)
		c.text(item, &claim.Value)
		*p = append(*p, claim)
	}
}

func (c *coder) headers(item string, p *[]Header) {
	if !c.reading {
		c.out = msgp.AppendMap(c.out, len(*p))
		for _, h := range *p {
			c.out = msgp.AppendString(c.out, h.Name)
			c.list(item, &h.Values)
		}
		return
	}
	*p = nil
	seen := map[string]bool{}
	n, ok := c.in.Map()
	for c.check(ok, item); n > 0 && c.bad == ""; n-- {
		var h Header
		c.text(item, &h.Name)
		name := strings.ToLower(h.Name)
		c.check(!seen[name], item)
		seen[name] = true
		values, ok := c.in.Array()
		c.check(ok, item)
		h.Values, _ = c.readTexts(item, values)
		*p = append(*p, h)
	}
}

func (c *coder) payloads(item string, p *[]Payload) {
	if !c.reading {
		c.out = msgp.AppendMap(c.out, len(*p))
		for _, payload := range *p {
			c.out = msgp.AppendBytes(msgp.AppendString(c.out, payload.Protocol), payload.Bytes)
		}
		return
	}
	*p = nil
	n, ok := c.in.Map()
	if c.check(ok, item); n > 0 && c.bad == "" {
		*p = make([]Payload, 0, min(n, few))
	}
	for ; n > 0 && c.bad == ""; n-- {
		var payload Payload
		c.text(item, &payload.Protocol)
		c.bytes(item, &payload.Bytes)
		*p = append(*p, payload)
	}
}

// time is a MessagePack time stamp of 4, 8 or 12 bytes.
func (c *coder) time(item string, p *time.Time) {
	if !c.reading {
		c.out = msgp.AppendTime(c.out, *p)
		return
	}
	t, ok := c.in.Time()
	c.check(ok && t.Year() >= 1 && t.Year() <= 9999, item) // what .NET knows
	*p = t
}
