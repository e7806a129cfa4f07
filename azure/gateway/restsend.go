package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/msgp"
	"github.com/hubwire/hubwire/protocol"
)

// restSends are the operations that send, and what clients need for that.
var restSends = map[string]operation{
	"POST :generateToken":        {false, v2022b, (*restCall).generateToken},
	"POST connections/*/:invoke": {false, v2024, (*restCall).invoke},
	"POST ":                      {true, noOther, (*restCall).sendToAll},
	"POST :send":                 {false, v2022, (*restCall).sendToAll},
	"POST users/*":               {true, noOther, (*restCall).sendToUser},
	"POST users/*/:send":         {false, v2022, (*restCall).sendToUser},
	"POST connections/*":         {true, noOther, (*restCall).sendToClient},
	"POST connections/*/:send":   {false, v2022, (*restCall).sendToClient},
	"POST groups/*":              {true, noOther, (*restCall).sendToGroup},
	"POST groups/*/:send":        {false, v2022, (*restCall).sendToGroup},
}

func (c *restCall) excluded() []string { return c.r.URL.Query()["excluded"] }

func (c *restCall) sendToAll() (int, error) {
	payloads, err := c.payloads()
	if err == nil {
		c.act(&wire.BroadcastData{ExcludedList: c.excluded(), Payloads: payloads})
	}
	return http.StatusAccepted, err
}

func (c *restCall) sendToUser() (int, error) {
	payloads, err := c.payloads()
	if err == nil {
		c.act(&wire.UserData{UserID: c.path[1], Payloads: payloads})
	}
	return http.StatusAccepted, err
}

func (c *restCall) sendToClient() (int, error) {
	payloads, err := c.payloads()
	if err == nil {
		c.act(&wire.MultiConnectionData{ConnectionList: c.path[1:2], Payloads: payloads})
	}
	return http.StatusAccepted, err
}

func (c *restCall) sendToGroup() (int, error) {
	payloads, err := c.payloads()
	if err == nil {
		c.act(&wire.GroupBroadcastData{GroupName: c.path[1], ExcludedList: c.excluded(), Payloads: payloads})
	}
	return http.StatusAccepted, err
}

// payloads reads the body: a call as JSON, or the hub messages of each protocol in
// a map of MessagePack.
func (c *restCall) payloads() ([]wire.Payload, error) {
	body, err := io.ReadAll(c.r.Body)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, &restError{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The body is longer than 1 MiB."}
	case err != nil:
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	switch kind {
	case "application/json", "":
		return payloadsOfJSON(body)
	case "application/octet-stream":
		return payloadsOfMap(body)
	}
	return nil, &restError{http.StatusUnsupportedMediaType, "UnsupportedMediaType", "The body is neither application/json nor application/octet-stream."}
}

func payloadsOfJSON(body []byte) ([]wire.Payload, error) {
	var call struct {
		Target    string            `json:"target"`
		Arguments []json.RawMessage `json:"arguments"`
	}
	if err := json.Unmarshal(body, &call); err != nil || call.Target == "" {
		return nil, badRequest("The body is no JSON object with target and arguments.")
	}
	text := &protocol.Invocation{Target: call.Target, RawArguments: []protocol.Raw{}}
	packed := &protocol.Invocation{Target: call.Target, Arguments: []any{}}
	for _, argument := range call.Arguments {
		var compact bytes.Buffer
		_ = json.Compact(&compact, argument) // it was read as JSON
		text.RawArguments = append(text.RawArguments, compact.Bytes())
		packed.Arguments = append(packed.Arguments, plainValue(argument))
	}
	list := make([]wire.Payload, 0, 2)
	for codec, m := range map[protocol.Codec]*protocol.Invocation{protocol.JSON{}: text, protocol.MessagePack{}: packed} {
		b, err := codec.Append(nil, m)
		if err != nil {
			return nil, err
		}
		list = append(list, wire.Payload{Protocol: codec.Name(), Bytes: b})
	}
	return list, nil
}

// plainValue is a value of JSON for MessagePack: integers stay integers.
func plainValue(text json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	_ = d.Decode(&v) // it was read as JSON
	return plainNumbers(v)
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // what is too large is the largest there is
		return f
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = plainNumbers(v[name])
		}
	}
	return v
}

func payloadsOfMap(body []byte) ([]wire.Payload, error) {
	in := msgp.NewReader(body)
	n, ok := in.Map()
	var list []wire.Payload
	for ; ok && n > 0; n-- {
		name, isText := in.Str()
		payload, isBytes := in.Bin()
		ok = isText && isBytes
		list = append(list, wire.Payload{Protocol: string(name), Bytes: payload})
	}
	if !ok || len(list) == 0 {
		return nil, badRequest("The body is no MessagePack map of hub messages.")
	}
	return list, nil
}
