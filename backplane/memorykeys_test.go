package backplane

import (
	"slices"
	"strconv"
	"time"
)

// memoryKeys are the keys of a memoryRedis, whose lock guards them.
type memoryKeys map[string]memoryKey

type memoryKey struct {
	value string
	until time.Time // zero: for ever
}

// execute answers one command.
func (k *memoryKeys) execute(args []string) string {
	if *k == nil {
		*k = memoryKeys{}
	}
	key, ok := (*k)[args[1]]
	ok = ok && (key.until.IsZero() || time.Now().Before(key.until))
	switch args[0] {
	case "get":
		if !ok {
			return "_\r\n"
		}
		return bulk(key.value)
	case "exists":
		if ok {
			return ":1\r\n"
		}
		return ":0\r\n"
	}
	if ok && (args[0] == "setnx" || slices.Contains(args, "nx")) {
		if args[0] == "setnx" {
			return ":0\r\n"
		}
		return "_\r\n"
	}
	key = memoryKey{value: args[2]}
	for i, word := range args {
		n := 0
		if i+1 < len(args) {
			n, _ = strconv.Atoi(args[i+1]) // 0 is not used
		}
		switch word {
		case "px":
			key.until = time.Now().Add(time.Duration(n) * time.Millisecond)
		case "ex":
			key.until = time.Now().Add(time.Duration(n) * time.Second)
		}
	}
	(*k)[args[1]] = key
	if args[0] == "setnx" {
		return ":1\r\n"
	}
	return "+OK\r\n"
}
