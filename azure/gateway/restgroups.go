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
	"POST :closeConnections": {false, v2022, func(c *restCall) (int, error) {
		return c.closing(&wire.CloseConnectionsWithAck{Reason: c.reason(), ExcludedList: c.excluded()})
	}},
	"POST groups/*/:closeConnections": {false, v2022, func(c *restCall) (int, error) {
		return c.closing(&wire.CloseGroupConnectionsWithAck{GroupName: c.path[1], Reason: c.reason(), ExcludedList: c.excluded()})
	}},
	"POST users/*/:closeConnections": {false, v2022, func(c *restCall) (int, error) {
		return c.closing(&wire.CloseUserConnectionsWithAck{UserID: c.path[1], Reason: c.reason(), ExcludedList: c.excluded()})
	}},
	"DELETE connections/*": {true, v2022, func(c *restCall) (int, error) {
		_, err := c.ask(&wire.CloseConnectionWithAck{ConnectionID: c.path[1], Reason: c.reason()})
		return c.status(http.StatusAccepted, http.StatusOK), err
	}},
	"GET connections/*": {true, v2022, func(c *restCall) (int, error) {
		return c.exists(&wire.CheckConnectionExistenceWithAck{ConnectionID: c.path[1]}, noConnection, "There is no such connection.")
	}},
	"GET users/*": {true, v2022, func(c *restCall) (int, error) {
		return c.exists(&wire.CheckUserExistenceWithAck{UserID: c.path[1]}, noUser, "There is no such user.")
	}},
	"GET groups/*": {true, v2022, func(c *restCall) (int, error) {
		return c.exists(&wire.CheckGroupExistenceWithAck{GroupName: c.path[1]}, noGroup, "There is no such group.")
	}},
}

// act does what a message asks, and does not wait for other gateways.
func (c *restCall) act(m wire.Message) { c.hub.act(sender{}, m, nil) }

// ask does what a message asks, and returns the outcome of all gateways. An error
// is that one of them has not answered.
func (c *restCall) ask(m wire.Message) (outcome, error) {
	answers := make(chan outcome, 1)
	c.hub.act(sender{}, m, func(o outcome) { answers <- o })
	o := <-answers // a gateway that does not answer has a time
	if o.status == wire.AckTimeout {
		return o, &restError{http.StatusServiceUnavailable, "ServiceUnavailable", "Another gateway has not answered."}
	}
	return o, nil
}

// exists answers 200 if the outcome of m is that something is there, and else 404.
func (c *restCall) exists(m wire.Message, code, text string) (int, error) {
	o, err := c.ask(m)
	if err == nil && o.status != wire.AckOK {
		err = notFound(code, text)
	}
	return http.StatusOK, err
}

func (c *restCall) reason() *string {
	reason := c.r.URL.Query().Get("reason")
	return &reason
}

func (c *restCall) closing(m wire.Message) (int, error) {
	_, err := c.ask(m)
	return http.StatusNoContent, err
}

// restGroups are the operations on groups. A user's group is in the path the
// one way in v1 and the other way later.
var restGroups = map[string]operation{
	"PUT groups/*/connections/*": {true, v2022, func(c *restCall) (int, error) {
		return c.exists(&wire.JoinGroupWithAck{ConnectionID: c.path[3], GroupName: c.path[1]}, goneAlready, "There is no such connection.")
	}},
	"DELETE groups/*/connections/*": {true, v2022, func(c *restCall) (int, error) {
		return c.exists(&wire.LeaveGroupWithAck{ConnectionID: c.path[3], GroupName: &c.path[1]}, goneAlready, "There is no such connection.")
	}},
	"DELETE connections/*/groups": {false, v2022, func(c *restCall) (int, error) {
		_, err := c.ask(&wire.LeaveGroupWithAck{ConnectionID: c.path[1]})
		return http.StatusOK, err
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
	return c.exists(&wire.CheckUserInGroupWithAck{UserID: user, GroupName: group}, notInGroup, "The user is not in the group.")
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
	o, err := c.ask(&wire.UserJoinGroupWithAck{UserID: user, GroupName: group, TTL: ttl})
	if o.status == wire.AckForbidden {
		err = badRequest("The user is in too many groups.")
	}
	return c.status(http.StatusAccepted, http.StatusOK), err
}

func (c *restCall) userLeaves(user string, group *string) (int, error) {
	_, err := c.ask(&wire.UserLeaveGroupWithAck{UserID: user, GroupName: group})
	return c.status(http.StatusAccepted, http.StatusNoContent), err
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
	o, err := c.ask(m)
	if err != nil {
		return 0, err
	}
	page, err := wire.ParseGroupMembers(o.payload)
	if err != nil {
		return 0, err
	}
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
