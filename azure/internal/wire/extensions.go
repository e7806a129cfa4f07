package wire

import "github.com/hubwire/hubwire/internal/msgp"

// extensions are the members of a message in its map of extensions: those that
// it can carry.
type extensions struct {
	tracingID **uint64
	ttl       **int
	protocol  **string
	filter    **string
	dataType  *int
	partial   *bool
}

// Keys of the map.
const (
	keyTracingID = 1
	keyTTL       = 2
	keyProtocol  = 3
	keyFilter    = 4
	keyDataType  = 5
	keyPartial   = 6
)

func (c *coder) extensions(e extensions) {
	if c.reading {
		c.readExtensions(e)
	} else {
		c.appendExtensions(e)
	}
}

// appendExtensions writes what is neither nil nor zero, in the order of the keys.
func (c *coder) appendExtensions(e extensions) {
	at, n := len(c.out), 0
	c.out = msgp.AppendMap(c.out, 0)
	key := func(key byte) {
		n++
		c.out = append(c.out, key)
	}
	if e.tracingID != nil && *e.tracingID != nil {
		key(keyTracingID)
		c.out = msgp.AppendUint(c.out, **e.tracingID)
	}
	if e.ttl != nil && *e.ttl != nil {
		key(keyTTL)
		c.out = msgp.AppendInt(c.out, int64(**e.ttl))
	}
	if e.protocol != nil && *e.protocol != nil {
		key(keyProtocol)
		c.out = msgp.AppendString(c.out, **e.protocol)
	}
	if e.filter != nil && *e.filter != nil {
		key(keyFilter)
		c.out = msgp.AppendString(c.out, **e.filter)
	}
	if e.dataType != nil && *e.dataType != 0 {
		key(keyDataType)
		c.out = msgp.AppendInt(c.out, int64(*e.dataType))
	}
	if e.partial != nil && *e.partial {
		key(keyPartial)
		c.out = msgp.AppendBool(c.out, true)
	}
	c.out[at] |= byte(n) // six entries are the most: the header has one byte
}

func (c *coder) readExtensions(e extensions) {
	const item = "extensions"
	n, ok := c.in.Map()
	for c.check(ok, item); n > 0 && c.bad == ""; n-- {
		key, ok := c.in.Signed(32)
		c.check(ok, item)
		switch {
		case key == keyTracingID && e.tracingID != nil:
			u, ok := c.in.Unsigned(64)
			c.check(ok, item)
			*e.tracingID = &u
		case key == keyTTL && e.ttl != nil:
			*e.ttl = new(int)
			c.int(item, *e.ttl)
		case key == keyProtocol && e.protocol != nil:
			c.optional(item, e.protocol)
		case key == keyFilter && e.filter != nil:
			c.optional(item, e.filter)
		case key == keyDataType && e.dataType != nil:
			c.int(item, e.dataType)
		case key == keyPartial && e.partial != nil:
			c.bool(item, e.partial)
		case key < keyTracingID || key > keyPartial:
			kind := msgp.KindOf(c.in.Code())
			c.check(kind != msgp.KindArray && kind != msgp.KindMap && c.in.Skip(1), item)
		default:
			// A key that this message does not carry. The real parser does not
			// pass its value, but reads the next item there. So do we: a frame
			// that means something to one of us means the same to the other.
		}
	}
}
