package backplane

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// A memoryValue is a hash or a sorted set of a memoryRedis.
type memoryValue struct {
	hash    map[string]string
	scores  map[string]float64
	expires time.Time // zero: never
}

// forget loses all data, as a Redis that keeps nothing on its disk does when it
// ends.
func (m *memoryRedis) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.data)
}

// value returns what a key has, or nil. memoryRedis.mu is held.
func (m *memoryRedis) value(key string) *memoryValue {
	v := m.data[key]
	if v != nil && (!v.expires.IsZero() && !time.Now().Before(v.expires) || len(v.hash)+len(v.scores) == 0) {
		delete(m.data, key)
		return nil
	}
	return v
}

func (m *memoryRedis) made(key string) *memoryValue {
	if m.value(key) == nil {
		m.data[key] = &memoryValue{hash: map[string]string{}, scores: map[string]float64{}}
	}
	return m.data[key]
}

type memoryStatus string

// command executes a command on data. The answer is an int64, a string, a list of
// answers, nil, a memoryStatus, or an error. memoryRedis.mu is held.
func (m *memoryRedis) command(args []string) any {
	number := func(text string) int64 {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(fmt.Sprintf("%q: %v", args, err))
		}
		return int64(f)
	}
	yes := func(is bool) any {
		if is {
			return int64(1)
		}
		return int64(0)
	}
	if len(args) > 1 && args[0] != "eval" {
		if answer, known := m.commandOnKey(args, number, yes); known {
			return answer
		}
	}
	switch args[0] {
	case "time":
		now := max(time.Now().UnixMicro(), m.lastTime+1) // two commands are never at the same time
		m.lastTime = now
		return []any{strconv.FormatInt(now/1e6, 10), strconv.FormatInt(now%1e6, 10)}
	case "publish":
		return int64(m.deliver(args[1], args[2]))
	case "eval":
		keys := int(number(args[2]))
		return m.eval(args[1], args[3:3+keys], args[3+keys:])
	}
	return errors.New("ERR unknown command '" + args[0] + "'")
}

// Answers of commands in the forms that they take most often.
type (
	numberOf func(arg string) int64 // of an argument
	yesOrNo  func(yes bool) any
)

func (m *memoryRedis) commandOnKey(args []string, number numberOf, yes yesOrNo) (answer any, known bool) {
	v := m.value(args[1])
	if v == nil {
		v = &memoryValue{}
	}
	if answer, known = m.commandOnAny(args, v, number, yes); known {
		return answer, true
	}
	if answer, known = m.commandOnHash(args, v, number, yes); known {
		return answer, true
	}
	return m.commandOnScores(args, v, yes)
}

// commandOnAny is a command on a key whatever its value is.
func (m *memoryRedis) commandOnAny(args []string, v *memoryValue, number numberOf, yes yesOrNo) (answer any, known bool) {
	key := args[1]
	switch args[0] {
	case "exists":
		return yes(m.value(key) != nil), true
	case "del", "unlink":
		n := int64(0)
		for _, key := range args[1:] {
			if m.value(key) != nil {
				n++
			}
			delete(m.data, key)
		}
		return n, true
	case "pexpire":
		if m.value(key) != nil {
			v.expires = time.Now().Add(time.Duration(number(args[2])) * time.Millisecond)
		}
		return yes(m.value(key) != nil), true
	case "persist":
		had := !v.expires.IsZero()
		v.expires = time.Time{}
		return yes(had), true
	}
	return nil, false
}

// commandOnHash is a command on a key whose value is a hash.
func (m *memoryRedis) commandOnHash(args []string, v *memoryValue, number numberOf, yes yesOrNo) (answer any, known bool) {
	switch key := args[1]; args[0] {
	case "hget":
		if value, has := v.hash[args[2]]; has {
			return value, true
		}
		return nil, true
	case "hexists":
		_, has := v.hash[args[2]]
		return yes(has), true
	case "hlen":
		return int64(len(v.hash)), true
	case "hset":
		v, n := m.made(key), int64(0)
		for i := 2; i < len(args); i += 2 {
			if _, has := v.hash[args[i]]; !has {
				n++
			}
			v.hash[args[i]] = args[i+1]
		}
		return n, true
	case "hsetnx":
		_, has := v.hash[args[2]]
		if !has {
			m.made(key).hash[args[2]] = args[3]
		}
		return yes(!has), true
	case "hincrby":
		v := m.made(key)
		n := number(args[3])
		if before := v.hash[args[2]]; before != "" {
			n += number(before)
		}
		v.hash[args[2]] = strconv.FormatInt(n, 10)
		return n, true
	case "hdel":
		return m.remove(args, func(name string) bool { _, has := v.hash[name]; delete(v.hash, name); return has }), true
	case "hgetall", "hkeys", "hscan":
		list := []any{}
		for _, name := range slices.Sorted(maps.Keys(v.hash)) {
			list = append(list, name)
			if args[0] != "hkeys" {
				list = append(list, v.hash[name])
			}
		}
		if args[0] == "hscan" {
			return m.scan(list, args), true
		}
		return list, true
	}
	return nil, false
}

// commandOnScores is a command on a key whose value is a sorted set.
func (m *memoryRedis) commandOnScores(args []string, v *memoryValue, yes yesOrNo) (answer any, known bool) {
	switch args[0] {
	case "zadd":
		v := m.made(args[1])
		_, has := v.scores[args[3]]
		f, _ := strconv.ParseFloat(args[2], 64)
		v.scores[args[3]] = f
		return yes(!has), true
	case "zrem":
		return m.remove(args, func(name string) bool { _, has := v.scores[name]; delete(v.scores, name); return has }), true
	case "zscore":
		if score, has := v.scores[args[2]]; has {
			return strconv.FormatFloat(score, 'f', -1, 64), true
		}
		return nil, true
	case "zrangebyscore":
		list := v.rangeByScore(args[2], args[3]).([]any)
		if len(args) > 4 { // WITHSCORES LIMIT 0 1
			list = list[:min(1, len(list))]
			for _, name := range list {
				list = append(list, strconv.FormatFloat(v.scores[name.(string)], 'f', -1, 64))
			}
		}
		return list, true
	}
	return nil, false
}

// remove removes members by their names, and returns how many there were.
func (m *memoryRedis) remove(args []string, remove func(name string) bool) any {
	n := int64(0)
	for _, name := range args[2:] {
		if remove(name) {
			n++
		}
	}
	m.value(args[1]) // forgets the key of a value that is empty now
	return n
}

// scan returns a page: the cursor is a place in the list.
func (m *memoryRedis) scan(list []any, args []string) any {
	from, _ := strconv.Atoi(args[2])
	most := 10
	if len(args) > 4 {
		most, _ = strconv.Atoi(args[4])
	}
	to, next := min(len(list), from+2*most), "0"
	if to < len(list) {
		next = strconv.Itoa(to)
	}
	return []any{next, list[min(from, to):to]}
}

func (v *memoryValue) rangeByScore(from, to string) any {
	bound := func(text string) (f float64, exclusive bool) {
		text, exclusive = strings.CutPrefix(text, "(")
		switch text {
		case "-inf":
			return math.Inf(-1), false
		case "+inf":
			return math.Inf(1), false
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(err)
		}
		return f, exclusive
	}
	least, above := bound(from)
	most, below := bound(to)
	names := slices.SortedFunc(maps.Keys(v.scores), func(a, b string) int {
		if v.scores[a] != v.scores[b] {
			return int(math.Copysign(1, v.scores[a]-v.scores[b]))
		}
		return strings.Compare(a, b)
	})
	list := []any{}
	for _, name := range names {
		if s := v.scores[name]; (s > least || s == least && !above) && (s < most || s == most && !below) {
			list = append(list, name)
		}
	}
	return list
}

// eval runs a script, as Redis does: with the conversions of its version 2.
func (m *memoryRedis) eval(script string, keys, args []string) any {
	state := lua.NewState()
	defer state.Close()
	table := func(list []string) *lua.LTable {
		t := state.NewTable()
		for _, s := range list {
			t.Append(lua.LString(s))
		}
		return t
	}
	state.SetGlobal("KEYS", table(keys))
	state.SetGlobal("ARGV", table(args))
	redis := state.NewTable()
	redis.RawSetString("call", state.NewFunction(func(l *lua.LState) int {
		var command []string
		for i := 1; i <= l.GetTop(); i++ {
			command = append(command, l.CheckString(i))
		}
		command[0] = strings.ToLower(command[0])
		answer := m.command(command)
		if err, failed := answer.(error); failed {
			l.RaiseError("%v", err)
		}
		l.Push(toLua(l, answer))
		return 1
	}))
	state.SetGlobal("redis", redis)
	if err := state.DoString(script); err != nil {
		return fmt.Errorf("ERR %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return fromLua(state.Get(-1))
}

func toLua(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case int64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		t := l.NewTable()
		for _, item := range v {
			t.Append(toLua(l, item))
		}
		return t
	}
	return lua.LFalse
}

func fromLua(v lua.LValue) any {
	switch v := v.(type) {
	case lua.LNumber:
		return int64(v)
	case lua.LString:
		return string(v)
	case *lua.LTable:
		list := []any{}
		for i := 1; i <= v.Len(); i++ {
			list = append(list, fromLua(v.RawGetInt(i)))
		}
		return list
	case lua.LBool:
		if v {
			return int64(1)
		}
	}
	return nil
}

func encodeReply(v any) string {
	switch v := v.(type) {
	case int64:
		return fmt.Sprintf(":%d\r\n", v)
	case string:
		return bulk(v)
	case error:
		return "-" + v.Error() + "\r\n"
	case memoryStatus:
		return "+" + string(v) + "\r\n"
	case []any:
		text := fmt.Sprintf("*%d\r\n", len(v))
		for _, item := range v {
			text += encodeReply(item)
		}
		return text
	}
	return "$-1\r\n"
}
