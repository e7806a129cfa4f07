package blog

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"

	"github.com/hubwire/hubwire/server"
)

// largestUpload is how many bytes an upload may have.
const largestUpload = 16 << 20

// Progress is how far an upload is.
type Progress struct {
	Received int    `json:"received" msgpack:"received"` // bytes
	SHA256   string `json:"sha256" msgpack:"sha256"`     // of all bytes, once they are there
}

// Upload takes a file of size bytes in chunks, and streams how far it is. The last
// progress has the file's SHA-256, by which a client sees that all has arrived.
func (PostHub) Upload(_ *server.Call, size int, chunks iter.Seq2[[]byte, error]) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		if size < 0 || size > largestUpload {
			yield(Progress{}, server.NewHubError("a file may have up to %d MB", largestUpload>>20))
			return
		}
		sum, received := sha256.New(), 0
		for chunk, err := range chunks {
			if err != nil {
				yield(Progress{}, err)
				return
			}
			if received += len(chunk); received > size {
				break
			}
			sum.Write(chunk) // a hash takes everything: it has no error to return
			if !yield(Progress{Received: received}, nil) {
				return
			}
		}
		if received != size {
			yield(Progress{}, server.NewHubError("the file has not the %d bytes that were announced", size))
			return
		}
		yield(Progress{received, hex.EncodeToString(sum.Sum(nil))}, nil)
	}
}
