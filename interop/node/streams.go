package main

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/hubwire/hubwire/server"
)

// Streams to the client.

// Counter counts, with a pause before each number, until it is cancelled.
func (h *TestHub) Counter(call *server.Call, count, milliseconds int32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		pause := time.Duration(milliseconds) * time.Millisecond
		timer := time.NewTimer(pause)
		defer timer.Stop()
		for i := range count {
			if pause > 0 { // a whole pause each time, however late the last number was
				timer.Reset(pause)
				select {
				case <-timer.C:
				case <-call.Context().Done():
					return
				}
			}
			if !yield(i) {
				return
			}
		}
	}
}

// CounterThenThrow counts and fails.
func (h *TestHub) CounterThenThrow(count int32, message string) iter.Seq2[int32, error] {
	return func(yield func(int32, error) bool) {
		for i := range count {
			if !yield(i, nil) {
				return
			}
		}
		yield(0, invalidOperation(message))
	}
}

// Letters streams the alphabet from a channel.
func (h *TestHub) Letters(call *server.Call, count int32) <-chan string {
	letters := make(chan string)
	go func() { // ends with the call at the latest
		defer close(letters)
		for i := range count {
			select {
			case letters <- string('a' + rune(i%26)):
			case <-call.Context().Done():
				return
			}
		}
	}()
	return letters
}

// NullStream returns no stream.
func (h *TestHub) NullStream() <-chan string { return nil }

// ThrowInsteadOfStream fails before it has a stream.
func (h *TestHub) ThrowInsteadOfStream(message string) (iter.Seq[int32], error) {
	return nil, &server.HubError{Message: message}
}

// Streams from the client.

//lint:ignore ST1005 it is .NET's text
var errChannelClosed = server.WithErrorType("ChannelClosedException", errors.New("The channel has been closed."))

// ReadOne takes one item, waits, and leaves the others.
func (h *TestHub) ReadOne(call *server.Call, items <-chan int32, milliseconds int32) (string, error) {
	first, ok := <-items
	if !ok {
		if err := call.UploadError(); err != nil {
			return "", err
		}
		return "", errChannelClosed
	}
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	return fmt.Sprintf("read %d", first), nil
}

// Failure says how its stream has ended.
func (h *TestHub) Failure(call *server.Call, items <-chan int32) string {
	n := 0
	for range items {
		n++
	}
	if err := call.UploadError(); err != nil {
		return describe(err)
	}
	return fmt.Sprintf("%d items", n)
}

// Concat puts texts together.
func (h *TestHub) Concat(call *server.Call, items <-chan string) (string, error) {
	var all strings.Builder
	for item := range items {
		all.WriteString(item)
	}
	return all.String(), call.UploadError()
}

// Sum adds numbers.
func (h *TestHub) Sum(items iter.Seq2[int32, error]) (int32, error) {
	list, err := collect(items)
	sum := int32(0)
	for _, item := range list {
		sum += item
	}
	return sum, err
}

// Zip joins two streams, the first with the first and so on.
func (h *TestHub) Zip(left iter.Seq2[string, error], separator string, right iter.Seq2[string, error]) (string, error) {
	l, err := collect(left)
	if err != nil {
		return "", err
	}
	r, err := collect(right)
	if err != nil {
		return "", err
	}
	var pairs []string
	for i := range min(len(l), len(r)) {
		pairs = append(pairs, l[i]+separator+r[i])
	}
	return strings.Join(pairs, ","), nil
}

// EchoStream streams back what it is sent.
func (h *TestHub) EchoStream(items iter.Seq2[string, error]) iter.Seq2[string, error] { return items }

func collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var list []T
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}
