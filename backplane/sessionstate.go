package backplane

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A savedState is the state of a session and of its user's groups on Redis.
type savedState struct {
	known   bool // the session existed
	resumed bool // another connection created it
	maker   string
	groups  map[string]int64 // when they were joined, in Unix microseconds by the clock of Redis, like all times here
	now     int64
	user    map[string]int64 // when they end; 0 is never; negative: when they were removed
}

// errAnswer is an impossible answer of Redis.
var errAnswer = errors.New("backplane: Redis has answered what is no session")

// readStates reads the states of connections from Redis, in one round trip.
func (r *Redis) readStates(ctx context.Context, s *sessions, list []*connection) ([]savedState, error) {
	pipe, life := r.client.Pipeline(), s.life()
	sessionOf, userOf := make([]*redis.Cmd, len(list)), make([]*redis.Cmd, len(list))
	for i, c := range list {
		if c.kept.key != "" {
			sessionOf[i] = pipe.Eval(ctx, resumeScript, []string{r.sessionKey(c.kept.key)}, life, r.maker(c))
		}
		if id := c.UserID(); id != "" {
			userOf[i] = pipe.Eval(ctx, userScript, []string{r.userGroupsKey(id)})
		}
	}
	states := make([]savedState, len(list))
	if pipe.Len() == 0 {
		return states, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	for i := range list {
		if err := states[i].read(list[i].ID(), sessionOf[i], userOf[i]); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func (s *savedState) read(id string, session, user *redis.Cmd) (err error) {
	if session != nil {
		head, fields, err := readFields(session)
		if err != nil {
			return err
		}
		s.known, s.maker, s.groups = head == "1", fields["s"], make(map[string]int64, len(fields))
		s.resumed = !strings.HasPrefix(s.maker, id+" ")
		for name, value := range fields {
			if group, ok := strings.CutPrefix(name, "g"); ok {
				s.groups[group], _ = strconv.ParseInt(value, 10, 64) // an invalid time is long ago
			}
		}
	}
	if user != nil {
		head, fields, err := readFields(user)
		if err != nil {
			return err
		}
		if s.now, err = strconv.ParseInt(head, 10, 64); err != nil {
			return errAnswer
		}
		s.user = make(map[string]int64, len(fields))
		for group, value := range fields {
			if s.user[group], err = strconv.ParseInt(value, 10, 64); err != nil {
				return errAnswer
			}
		}
	}
	return nil
}

// readFields reads the answer of a script: a string, and the fields of a hash.
func readFields(cmd *redis.Cmd) (head string, fields map[string]string, err error) {
	answer, err := cmd.Slice()
	if err != nil {
		return "", nil, err
	}
	if len(answer) != 2 {
		return "", nil, errAnswer
	}
	head, isText := answer[0].(string)
	list, isList := answer[1].([]any)
	if !isText || !isList || len(list)%2 != 0 {
		return "", nil, errAnswer
	}
	fields = make(map[string]string, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		name, isName := list[i].(string)
		value, isValue := list[i+1].(string)
		if !isName || !isValue {
			return "", nil, errAnswer
		}
		fields[name] = value
	}
	return head, fields, nil
}
