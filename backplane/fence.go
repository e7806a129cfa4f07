package backplane

import (
	"strconv"
	"sync"
)

// A fence holds back the success of a send until this node has received all
// that Redis delivered before: PUBLISH and SUBSCRIBE are on two connections,
// and an answer on the first says nothing about the second. A PING on the
// second, written after the answer on the first, comes back after the message.
// One PING serves all sends that were answered before it; one is on its way at
// a time.
type fence struct {
	work chan struct{} // wakes the writer

	mu         sync.Mutex
	generation uint64 // counts the links that were lost
	number     uint64
	raised     bool
	covered    []*publish // by the PING on its way
	next       []*publish
}

// current returns the generation; it is read before a PUBLISH is written.
func (f *fence) current() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.generation
}

// add takes publishes that Redis has answered. If a link was lost since they
// were written, this node may have missed them.
func (f *fence) add(generation uint64, list []*publish) {
	if len(list) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.generation != generation {
		for _, p := range list {
			p.finish(0, ErrOutcomeUnknown)
		}
		return
	}
	f.next = append(f.next, list...)
	if !f.raised {
		wake(f.work)
	}
}

// raise returns the payload of the PING to write now, or nothing.
func (f *fence) raise() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.raised || len(f.next) == 0 {
		return ""
	}
	f.raised = true
	f.number++
	f.covered, f.next = f.next, f.covered[:0]
	return strconv.FormatUint(f.number, 10)
}

// passed handles the answer to a PING, those of the heartbeat included.
func (f *fence) passed(payload string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.raised || payload != strconv.FormatUint(f.number, 10) {
		return
	}
	f.raised = false
	for i, p := range f.covered {
		p.finish(p.count, nil)
		f.covered[i] = nil
	}
	f.covered = f.covered[:0]
	if len(f.next) > 0 {
		wake(f.work)
	}
}

// fail ends all sends that wait: their messages may have missed this node.
func (f *fence) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raised = false
	f.generation++
	for _, list := range [][]*publish{f.covered, f.next} {
		for i, p := range list {
			p.finish(0, err)
			list[i] = nil
		}
	}
	f.covered, f.next = f.covered[:0], f.next[:0]
}
