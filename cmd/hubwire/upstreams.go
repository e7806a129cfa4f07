package main

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/hubwire/hubwire/azure/gateway"
)

// upstreams is the flag of where events go. It can be given several times; in the
// environment and the file it may be a JSON array of texts.
type upstreams []gateway.Upstream

// String implements flag.Value. URLs may hold secrets, so it says little.
func (u *upstreams) String() string { return "" }

// Set implements flag.Value. Its errors have no URL.
func (u *upstreams) Set(text string) error {
	var list []string
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return errors.New("no JSON array of texts")
		}
	} else {
		list = []string{text}
	}
	for _, one := range list {
		rule, address, two := strings.Cut(strings.TrimSpace(one), " ")
		if !two {
			rule, address = "*/*/*", rule
		}
		parts := strings.SplitN(rule, "/", 3)
		if len(parts) != 3 {
			return errors.New("what stands before the URL is not hub/category/event")
		}
		*u = append(*u, gateway.Upstream{URL: strings.TrimSpace(address), Hub: parts[0], Category: parts[1], Event: parts[2]})
	}
	return nil
}
