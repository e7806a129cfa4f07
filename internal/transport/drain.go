package transport

import (
	"io"
	"net/http"
	"time"
)

// drainTime is how long a client may take for a body that is not used. net/http
// reads it before the answer, or after it, and without a deadline that may be
// for ever; with one it answers and ends the TCP connection.
// Source: the drain timeout of Kestrel.
const drainTime = 5 * time.Second

// boundDrain sets the deadline for what is left of the body of r.
func boundDrain(rc *http.ResponseController, r *http.Request) {
	if r.ContentLength != 0 && r.ProtoMajor == 1 { // HTTP/2 resets the stream
		_ = rc.SetReadDeadline(time.Now().Add(drainTime)) // unsupported only behind a middleware's writer
	}
}

// skipBody reads the body of a GET that lives long: net/http notices only after
// it that the client has left. It reports false if the body did not come.
func skipBody(r *http.Request) bool {
	if r.ContentLength == 0 || r.ProtoMajor != 1 {
		return true
	}
	_, err := io.CopyN(io.Discard, r.Body, maximumSkipped+1)
	return err == io.EOF
}

// maximumSkipped is how long such a body may be, in bytes.
const maximumSkipped = 256 << 10
