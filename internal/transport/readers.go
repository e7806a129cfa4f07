package transport

import "os"

// readersNow is what the environment says of Options.Readers; it is for those who
// look for a fault.
var readersNow = os.Getenv("HUBWIRE_READERS")

// orEnvironment is r, or instead of ReadersAuto what the environment says.
func (r Readers) orEnvironment() Readers {
	switch {
	case r == ReadersAuto && readersNow == "goroutine":
		return ReadersGoroutine
	case r == ReadersAuto && readersNow == "poll":
		return ReadersPoll
	}
	return r
}
