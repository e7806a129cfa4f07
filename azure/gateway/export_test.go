package gateway

import (
	"testing"
	"time"
)

// On a busy machine no answer is late in a test.
func init() { askTimeout = time.Minute }

// PatientLetters has the letters of gateways that begin later wait for Redis as long as
// that takes on a busy machine.
func PatientLetters(t *testing.T) {
	before := letterTimeout
	letterTimeout = time.Minute
	t.Cleanup(func() { letterTimeout = before })
}
