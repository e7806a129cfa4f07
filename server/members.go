package server

import "github.com/hubwire/hubwire/internal/members"

type memberSet = members.Set[Receiver]

// sendTo delivers to every member of set but those in except. It encodes first: a
// message that cannot be encoded reaches nobody.
func sendTo(set *memberSet, m *Message, except []string) error {
	list, codecs := set.All()
	for _, codec := range codecs {
		if _, err := m.Bytes(codec); err != nil {
			return err
		}
	}
	if len(except) == 0 {
		for _, c := range list {
			_ = c.Send(m) // who is gone, or too slow, is no error of the send
		}
		return nil
	}
	excepted := members.Except(except)
	for _, c := range list {
		if !excepted(c.ID()) {
			_ = c.Send(m)
		}
	}
	return nil
}
