package gateway

import "time"

// On a busy machine no answer is late in a test.
func init() { askTimeout = time.Minute }
