package wire

// KeptBytes returns the room that r has for the beginning of a frame.
func KeptBytes(r *Reader) int { return cap(r.rest) }
