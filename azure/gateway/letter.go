package gateway

import (
	"errors"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/msgp"
)

// A letter is what gateways of a fleet send to each other: messages of the service
// protocol, as an app server has sent them, and around them who asks whom.
type letter struct {
	kind     letterKind
	from     string // instance id of the gateway
	hub      string
	server   string // id of the app server that it is from; empty: REST, or the gateway itself
	endpoint string // by which that app server has come; of a greeting, what tells the process
	id       uint64 // of what is asked, for its answer; 0: nothing is answered
	status   int    // of an answer
	body     []byte // messages of the service protocol; of an answer, its payload
}

type letterKind int

const (
	letterAct      letterKind = 1 // to be done by whoever gets it
	letterAnswer   letterKind = 2 // to a letterAct with an id
	letterComplete letterKind = 3 // a client result, or that nobody waits for it any more
	letterHello    letterKind = 4 // this gateway is there; the body is the names of hubs that have app servers
	letterBye      letterKind = 5 // it goes
	letterWant     letterKind = 6 // it has no app server of a hub
	letterNews     letterKind = 7 // a letterHello of one that has begun and knows no users' groups
)

// letterVersion is the first item of a letter; others are passed over.
const letterVersion = 1

const letterItems = 9

func (l *letter) encode() []byte {
	b := make([]byte, 0, 64+len(l.from)+len(l.hub)+len(l.server)+len(l.endpoint)+len(l.body))
	b = msgp.AppendArray(b, letterItems)
	b = msgp.AppendInt(b, letterVersion)
	b = msgp.AppendInt(b, int64(l.kind))
	for _, text := range []string{l.from, l.hub, l.server, l.endpoint} {
		b = msgp.AppendString(b, text)
	}
	b = msgp.AppendUint(b, l.id)
	b = msgp.AppendInt(b, int64(l.status))
	return msgp.AppendBytes(b, l.body)
}

var errLetter = errors.New("gateway: a message of another gateway cannot be read")

// readLetter reads a letter; its body aliases b.
func readLetter(b []byte) (l letter, err error) {
	in := msgp.NewReader(b)
	n, ok := in.Array()
	version, isNumber := in.Signed(32)
	if !ok || !isNumber || n < letterItems || version != letterVersion {
		return l, errLetter
	}
	kind, ok := in.Signed(32)
	l.kind = letterKind(kind)
	for _, to := range []*string{&l.from, &l.hub, &l.server, &l.endpoint} {
		text, isText := in.Str()
		*to, ok = string(text), ok && isText
	}
	var isID, isStatus, isBody bool
	l.id, isID = in.Unsigned(64)
	status, isStatus := in.Signed(32)
	l.status = int(status)
	l.body, isBody = in.Bin()
	if !ok || !isID || !isStatus || !isBody || l.from == "" {
		return letter{}, errLetter
	}
	return l, nil
}

// messages are those of a body. A body that cannot be read ends where it cannot.
func (l *letter) messages(each func(wire.Message)) error {
	for b := l.body; len(b) > 0; {
		m, n, err := wire.Next(b)
		if n == 0 {
			return errors.Join(errLetter, err)
		}
		if b = b[n:]; m != nil {
			each(m)
		}
	}
	return nil
}
