package gateway

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

const (
	noConnection = "Warning.Connection.NotExisted"
	noUser       = "Warning.User.NotExisted"
	noGroup      = "Warning.Group.NotExisted"
	notInGroup   = "Info.User.NotInGroup"
	goneAlready  = "Error.Connection.NotExisted"
)

// restCloses are the operations that end clients, and those that ask for them.
var restCloses = map[string]operation{
	"POST :closeConnections": {false, v2022, func(c *restCall) (int, error) { return c.closeMany(c.hub.allClients()) }},
	"POST groups/*/:closeConnections": {false, v2022, func(c *restCall) (int, error) {
		return c.closeMany(c.hub.membersOf(c.path[1]))
	}},
	"POST users/*/:closeConnections": {false, v2022, func(c *restCall) (int, error) {
		return c.closeMany(c.hub.clientsOf(c.path[1]))
	}},
	"DELETE connections/*": {true, v2022, func(c *restCall) (int, error) {
		c.hub.closeByServer(nil, c.path[1], c.r.URL.Query().Get("reason"))
		return c.status(http.StatusAccepted, http.StatusOK), nil
	}},
	"GET connections/*": {true, v2022, func(c *restCall) (int, error) {
		return exists(c.hub.hasClient(c.path[1]), noConnection, "There is no such connection.")
	}},
	"GET users/*": {true, v2022, func(c *restCall) (int, error) {
		return exists(c.hub.hasUser(c.path[1]), noUser, "There is no such user.")
	}},
	"GET groups/*": {true, v2022, func(c *restCall) (int, error) {
		return exists(c.hub.hasGroup(c.path[1]), noGroup, "There is no such group.")
	}},
}

func exists(yes bool, code, text string) (int, error) {
	if yes {
		return http.StatusOK, nil
	}
	return 0, notFound(code, text)
}

func (c *restCall) closeMany(list []*client) (int, error) {
	reason := c.r.URL.Query().Get("reason")
	c.hub.closeMany(list, &reason, c.excluded())
	return http.StatusNoContent, nil
}

// restGroups are the operations on groups. A user's group is in the path the
// one way in v1 and the other way later.
var restGroups = map[string]operation{
	"PUT groups/*/connections/*": {true, v2022, func(c *restCall) (int, error) {
		return exists(c.hub.join(c.path[3], c.path[1]) == wire.AckOK, goneAlready, "There is no such connection.")
	}},
	"DELETE groups/*/connections/*": {true, v2022, func(c *restCall) (int, error) {
		return exists(c.hub.leave(c.path[3], &c.path[1]) == wire.AckOK, goneAlready, "There is no such connection.")
	}},
	"DELETE connections/*/groups": {false, v2022, func(c *restCall) (int, error) {
		c.hub.leave(c.path[1], nil)
		return http.StatusOK, nil
	}},
	"GET groups/*/connections": {false, v2024, (*restCall).members},

	"GET groups/*/users/*":    {true, noOther, func(c *restCall) (int, error) { return c.isInGroup(c.path[3], c.path[1]) }},
	"GET users/*/groups/*":    {false, v2022, func(c *restCall) (int, error) { return c.isInGroup(c.path[1], c.path[3]) }},
	"PUT groups/*/users/*":    {true, noOther, func(c *restCall) (int, error) { return c.userJoins(c.path[3], c.path[1]) }},
	"PUT users/*/groups/*":    {false, v2022, func(c *restCall) (int, error) { return c.userJoins(c.path[1], c.path[3]) }},
	"DELETE groups/*/users/*": {true, noOther, func(c *restCall) (int, error) { return c.userLeaves(c.path[3], &c.path[1]) }},
	"DELETE users/*/groups/*": {false, v2022, func(c *restCall) (int, error) { return c.userLeaves(c.path[1], &c.path[3]) }},
	"DELETE users/*/groups":   {true, v2022, func(c *restCall) (int, error) { return c.userLeaves(c.path[1], nil) }},
}

func (c *restCall) isInGroup(user, group string) (int, error) {
	return exists(c.hub.isUserInGroup(user, group), notInGroup, "The user is not in the group.")
}

func (c *restCall) userJoins(user, group string) (int, error) {
	var ttl *int
	if text := c.r.URL.Query().Get("ttl"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return 0, badRequest("ttl is no number of seconds.")
		}
		ttl = &n
	}
	if c.hub.userJoin(user, group, ttl) != wire.AckOK {
		return 0, badRequest("The user is in too many groups.")
	}
	return c.status(http.StatusAccepted, http.StatusOK), nil
}

func (c *restCall) userLeaves(user string, group *string) (int, error) {
	c.hub.userLeave(user, group)
	return c.status(http.StatusAccepted, http.StatusNoContent), nil
}

// members answers a page of a group's members, with the address of the next one.
func (c *restCall) members() (int, error) {
	query := c.r.URL.Query()
	m := &wire.GroupMemberQuery{GroupName: c.path[1]}
	for name, to := range map[string]**int{"maxpagesize": &m.MaxPageSize, "top": &m.Top} {
		if text := query.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || name == "maxpagesize" && n > largestPage {
				return 0, badRequest(name + " is out of range.")
			}
			*to = &n
		}
	}
	if after := query.Get("continuationToken"); after != "" {
		m.ContinuationToken = &after
	}
	page := c.hub.membersPage(m)
	type member struct {
		ConnectionID string  `json:"connectionId"`
		UserID       *string `json:"userId,omitempty"`
	}
	answer := struct {
		Value []member `json:"value"`
		Next  string   `json:"nextLink,omitempty"`
	}{Value: []member{}}
	for _, one := range page.Members {
		answer.Value = append(answer.Value, member{one.ConnectionID, one.UserID})
	}
	if page.ContinuationToken != nil {
		query.Set("continuationToken", *page.ContinuationToken)
		if m.Top != nil {
			query.Set("top", strconv.Itoa(*m.Top-len(page.Members)))
		}
		answer.Next = (&url.URL{Scheme: "http", Host: c.r.Host, Path: c.r.URL.Path, RawQuery: query.Encode()}).String()
		if c.r.TLS != nil {
			answer.Next = "https" + answer.Next[len("http"):]
		}
	}
	return c.answer(answer)
}
