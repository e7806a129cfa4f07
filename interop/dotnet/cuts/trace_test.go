package cuts

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/gobwas/ws"
)

// A trace is what passed on one WebSocket of a dialogue, in the order in which
// the network wrote it.
type trace []chunk

// A chunk is what the network passed at once.
type chunk struct {
	direction direction
	data      []byte
}

// A frame is a whole frame of a WebSocket.
type frame struct {
	direction direction
	op        ws.OpCode
	payload   []byte // not masked
}

// frames returns the whole frames of a trace, in the order in which they ended.
func (tr trace) frames() []frame {
	var all []frame
	var rest [2][]byte
	var inside [2]bool // behind the HTTP part
	for _, c := range tr {
		d := c.direction
		rest[d] = append(rest[d], c.data...)
		if !inside[d] {
			_, after, found := bytes.Cut(rest[d], []byte("\r\n\r\n"))
			if !found {
				continue
			}
			inside[d], rest[d] = true, after
		}
		for {
			r := bytes.NewReader(rest[d])
			h, err := ws.ReadHeader(r)
			if err != nil || h.Length > int64(r.Len()) {
				break // the rest of it has not come, or never did
			}
			payload := make([]byte, h.Length)
			_, _ = r.Read(payload) // it is all there
			if h.Masked {
				ws.Cipher(payload, h.Mask, 0)
			}
			rest[d] = rest[d][len(rest[d])-r.Len():]
			all = append(all, frame{direction: d, op: h.OpCode, payload: payload})
		}
	}
	return all
}

// answer returns the first line of the node's answer to the HTTP request.
func (tr trace) answer() string {
	var all []byte
	for _, c := range tr {
		if c.direction == down {
			all = append(all, c.data...)
		}
	}
	line, _, _ := bytes.Cut(all, []byte("\r\n"))
	return string(line)
}

// String has a line for the node's answer to the HTTP request, and one for each
// frame.
func (tr trace) String() string {
	var b strings.Builder
	b.WriteString(tr.answer())
	for _, f := range tr.frames() {
		fmt.Fprintf(&b, "\n    %-4v %x %q", f.direction, f.op, f.payload)
	}
	return b.String()
}
