package main

import (
	"errors"

	"github.com/hubwire/hubwire/server"
)

// describe writes an error as the reference node does: the short name of its
// .NET type, and its message. No error is "null".
func describe(err error) string {
	if err == nil {
		return "null"
	}
	name := "Exception"
	var typed interface{ ErrorType() string }
	if errors.As(err, &typed) {
		name = typed.ErrorType()
	}
	return name + ": " + err.Error()
}

func invalidOperation(message string) error {
	return server.WithErrorType("InvalidOperationException", errors.New(message))
}
