package hubgen

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hubwire/hubwire/server"
)

// Info is what an AsyncAPI document says beside the hub.
type Info struct {
	Title   string // empty means the name of the hub's type
	Version string // of the application; empty means 0.0.0
	Path    string // where the hub is mounted, "/chat" for instance; empty says nothing of it

	// Server is the URL of the server, "wss://example.com" for instance, of the
	// scheme ws or wss and without a path; empty names no server.
	Server string
}

// AsyncAPI writes to w a document of AsyncAPI 3.0, in JSON, that describes the
// hub: one channel, an operation that receives for each method of the hub, and
// one that sends for each client method. Its messages are those of SignalR's JSON
// protocol, in which each is followed by the byte 0x1E; the schemas of their
// arguments and results follow the Go types. The arguments are those of
// TypeScript, an Info too, and so are the errors.
func AsyncAPI(w io.Writer, hub any, opts *server.Options, extra ...any) error {
	m, err := newModel(hub, opts, extra)
	if err != nil {
		return err
	}
	if m.packed {
		return errors.New("hubgen: an AsyncAPI document is one of the JSON protocol")
	}
	document, err := newDocument(m)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document); err != nil {
		return fmt.Errorf("hubgen: %w", err)
	}
	_, err = w.Write(text.Bytes())
	return err
}

// AsyncAPIHandler serves what AsyncAPI writes, once made, to GET and HEAD. It
// names all methods of the hub that are not hidden: who must not know them
// must not reach it. It needs no source at run time, but a program has its
// parameters' names and comments only with one: see ReadSourceFS. The errors are
// those of TypeScript.
func AsyncAPIHandler(hub any, opts *server.Options, extra ...any) (http.Handler, error) {
	var text bytes.Buffer
	if err := AsyncAPI(&text, hub, opts, extra...); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text.Bytes()))
	}), nil
}

// An object is one of JSON.
type object = map[string]any

// A document is an AsyncAPI document while it is made.
type document struct {
	*schemas
	messages   object // of the channel
	operations object
	keys       map[string]bool // of messages and operations
}

const channelRef = "#/channels/hub"

func newDocument(m *model) (object, error) {
	names := newTypes()
	names.ascii = true
	d := &document{&schemas{names}, object{}, object{}, map[string]bool{}}
	for _, f := range m.hub {
		d.received(f)
	}
	for _, f := range m.client {
		d.sent(f)
	}
	channel := object{
		"address":     nil,
		"title":       m.name,
		"description": strings.TrimSpace(m.doc + "\n\n" + channelText),
		"messages":    d.messages,
		"bindings":    object{"ws": object{"method": "GET", "bindingVersion": "0.1.0"}},
	}
	if m.info.Path != "" {
		channel["address"] = m.info.Path
	}
	whole := object{
		"asyncapi":           "3.0.0",
		"info":               object{"title": cmp.Or(m.info.Title, m.name), "version": cmp.Or(m.info.Version, "0.0.0")},
		"defaultContentType": "application/json",
		"channels":           object{"hub": channel},
		"operations":         d.operations,
		"components":         object{"schemas": d.all(m)},
	}
	if m.info.Server != "" {
		u, err := url.Parse(m.info.Server)
		if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("hubgen: the server %q is not the URL of one, as wss://example.com", m.info.Server)
		}
		whole["servers"] = object{"server": object{"host": u.Host, "protocol": u.Scheme}}
	}
	return whole, nil
}

const channelText = `A connection to the hub, over any transport of SignalR. Messages are those of SignalR's JSON protocol; each is followed by the byte 0x1E.
A client begins with {"protocol":"json","version":1}, and {} is the answer. Messages of type 6 are pings, one of type 7 ends the connection.
The target of a call may be written in any case.`

// key is a name for f in the document that no other has.
func (d *document) key(name string) string {
	return unique(d.keys, asciiName(name))
}

// message adds a message to the channel and refers to it.
func (d *document) message(key, name, text string, payload object) object {
	d.messages[key] = object{"name": name, "title": text, "payload": payload}
	return object{"$ref": channelRef + "/messages/" + key}
}

// received adds the operation of a method of the hub.
func (d *document) received(f function) {
	key := d.key(f.name)
	kind, required := 1, []string{"type", "target", "arguments"}
	if f.streams {
		kind, required = 4, append(required, "invocationId")
	}
	messages := []any{d.message(key, f.name, "calls "+f.name, d.call(f, kind, required))}
	for _, a := range f.args {
		if a.stream {
			messages = append(messages, d.message(d.key(f.name+"-"+a.name+"-item"), "StreamItem", "an item of "+a.name, d.item(a)))
			messages = append(messages, d.message(d.key(f.name+"-"+a.name+"-end"), "Completion", "the end of "+a.name, d.completion(function{streams: true})))
		}
	}
	var replies []any
	if f.streams {
		cancel := object{"type": object{"const": 5}, "invocationId": object{"type": "string"}}
		messages = append(messages, d.message(d.key(f.name+"-cancel"), "CancelInvocation", "ends the stream", record(cancel, "type", "invocationId")))
		replies = append(replies, d.message(d.key(f.name+"-item"), "StreamItem", "an item of the stream", d.item(argument{t: f.result})))
	}
	replies = append(replies, d.message(d.key(f.name+"-result"), "Completion", "the answer, to a call that has an invocationId", d.completion(f)))
	d.operation(key, "receive", f, messages, replies)
}

// sent adds the operation of a client method.
func (d *document) sent(f function) {
	key, required := d.key("on-"+f.name), []string{"type", "target", "arguments"}
	if f.result == nil {
		d.operation(key, "send", f, []any{d.message(key, f.name, "calls "+f.name, d.call(f, 1, required))}, nil)
		return
	}
	call := d.message(key, f.name, "calls "+f.name, d.call(f, 1, append(required, "invocationId")))
	reply := d.message(d.key("on-"+f.name+"-result"), "Completion", "the answer of the client", d.completion(f))
	d.operation(key, "send", f, []any{call}, []any{reply})
}

func (d *document) operation(key, action string, f function, messages, replies []any) {
	channel := object{"$ref": channelRef}
	o := object{"action": action, "title": f.name, "channel": channel, "messages": messages}
	if f.doc != "" {
		o["description"] = f.doc
	}
	if len(replies) > 0 {
		o["reply"] = object{"channel": channel, "messages": replies}
	}
	d.operations[key] = o
}

// call is an Invocation or a StreamInvocation.
func (d *document) call(f function, kind int, required []string) object {
	list, streams := []any{}, 0
	for _, a := range f.args {
		if a.stream {
			streams++
			continue
		}
		list = append(list, titled(d.schema(a.t), a.name))
	}
	arguments := object{"type": "array", "minItems": len(list), "maxItems": len(list)}
	if len(list) > 0 {
		arguments["items"] = list
	}
	p := object{"type": object{"const": kind}, "target": object{"const": f.name}, "arguments": arguments, "invocationId": object{"type": "string"}}
	if streams > 0 {
		p["streamIds"] = object{"type": "array", "items": object{"type": "string"}, "minItems": streams, "maxItems": streams}
		required = append(required, "streamIds")
	}
	return record(p, required...)
}

// item is a StreamItem.
func (d *document) item(a argument) object {
	return record(object{"type": object{"const": 2}, "invocationId": object{"type": "string"}, "item": d.schema(a.t)}, "type", "invocationId", "item")
}

// completion is a Completion: with a result or an error, or with nothing.
func (d *document) completion(f function) object {
	p := object{"type": object{"const": 3}, "invocationId": object{"type": "string"}, "error": object{"type": "string"}}
	o := record(p, "type", "invocationId")
	switch {
	case f.streams:
		return o
	case f.result == nil:
		p["result"] = object{"type": "null"}
	default:
		p["result"] = d.schema(f.result)
		o["oneOf"] = []any{object{"required": []string{"result"}}, object{"required": []string{"error"}}}
	}
	return o
}

func record(properties object, required ...string) object {
	return object{"type": "object", "properties": properties, "required": required}
}
