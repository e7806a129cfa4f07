package protocol

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// A HandshakeRequest is the first record a client sends, JSON whatever the
// protocol it asks for.
type HandshakeRequest struct {
	// Protocol is a codec's name as the client wrote it; case does not matter.
	Protocol string
	// Version is 1, or 2 for stateful reconnect. Zero and negative numbers
	// count as 1.
	Version int
}

// AppendHandshakeRequest appends r and its separator, as the official clients
// write it.
func AppendHandshakeRequest(dst []byte, r HandshakeRequest) []byte {
	dst = appendJSONMember(dst, `{"protocol":`, r.Protocol)
	dst = strconv.AppendInt(append(dst, `,"version":`...), int64(r.Version), 10)
	return append(dst, '}', recordSeparator)
}

// ParseHandshakeRequest decodes the record at the start of buf and returns the
// bytes after it: they belong to the first hub message. If buf holds no whole
// record it returns buf as rest and ErrIncomplete. Any other error is an
// *Error with ASP.NET Core's text. Whether protocol and version are supported
// is for the caller to say.
//
// Source: docs/reference/hub-protocol.md, sections 1.2 and 1.3.
func ParseHandshakeRequest(buf []byte) (req HandshakeRequest, rest []byte, err error) {
	record, rest, err := cutHandshake(buf)
	if err != nil {
		return HandshakeRequest{}, rest, err
	}
	r := jsonReader{jsonScanner{b: record}}
	var hasProtocol, hasVersion bool
	err = r.handshake(func(name string) (err error) {
		switch name {
		case "protocol":
			req.Protocol, err = r.string(name)
			hasProtocol = true
		case "version":
			var version int64
			version, hasVersion, err = r.integer(name, 32)
			req.Version = int(version)
		default:
			err = r.skip()
		}
		return err
	})
	switch {
	case err != nil:
	case !hasProtocol:
		err = missingContent("protocol", record)
	case !hasVersion:
		err = missingContent("version", record)
	default:
		return req, rest, nil
	}
	return HandshakeRequest{}, rest, err
}

// AppendHandshakeResponse appends the answer to a handshake and its separator:
// {} if errText is empty, else a refusal with that text.
func AppendHandshakeResponse(dst []byte, errText string) []byte {
	if errText == "" {
		return append(dst, '{', '}', recordSeparator)
	}
	dst = appendJSONMember(dst, `{"error":`, errText)
	return append(dst, '}', recordSeparator)
}

// ParseHandshakeResponse decodes the record at the start of buf, as a client
// does, and returns the bytes after it. errText is empty unless the server
// refused. Errors are as for ParseHandshakeRequest.
func ParseHandshakeResponse(buf []byte) (errText string, rest []byte, err error) {
	record, rest, err := cutHandshake(buf)
	if err != nil {
		return "", rest, err
	}
	r := jsonReader{jsonScanner{b: record}}
	err = r.handshake(func(name string) (err error) {
		switch name {
		case "type": // a hub message: the server does not do handshakes
			err = invalidData("Expected a handshake response from the server.")
		case "error":
			errText, err = r.string(name)
		default:
			err = r.skip()
		}
		return err
	})
	if err != nil {
		return "", rest, err
	}
	return errText, rest, nil
}

func cutHandshake(buf []byte) (record, rest []byte, err error) {
	end := bytes.IndexByte(buf, recordSeparator)
	if end < 0 {
		return nil, buf, ErrIncomplete
	}
	return buf[:end:end], buf[end+1:], nil
}

// handshake reads the members of the record. Unlike in hub messages, text that
// is not JSON is reported with what the parser says.
func (r *jsonReader) handshake(member func(name string) error) error {
	err := r.object()
	for first := true; err == nil; first = false {
		var name []byte
		var more bool
		name, more, err = r.member(first)
		if err != nil || !more {
			break
		}
		err = member(string(name))
	}
	if err == errReadingJSON {
		return r.syntaxError()
	}
	return err
}

func (r *jsonReader) skip() error {
	if !r.value(1) {
		return errReadingJSON
	}
	return nil
}

// syntaxError describes what is at i as .NET's parser does. Clients see the
// text but cannot depend on it.
func (r *jsonReader) syntaxError() error {
	line := bytes.Count(r.b[:r.i], []byte{'\n'})
	position := r.i - bytes.LastIndexByte(r.b[:r.i], '\n') - 1
	text := "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be closed."
	if r.i < len(r.b) {
		c, _ := utf8.DecodeRune(r.b[r.i:])
		text = fmt.Sprintf("'%c' is an invalid start of a value.", c)
	} else if r.space(); len(bytes.TrimSpace(r.b)) == 0 {
		text = "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when isFinalBlock is true."
	}
	return &Error{"JsonReaderException", fmt.Sprintf("%s LineNumber: %d | BytePositionInLine: %d.", text, line, position)}
}

func missingContent(name string, record []byte) error {
	return invalidData("Missing required property '" + name + "'. Message content: " + string(record))
}
