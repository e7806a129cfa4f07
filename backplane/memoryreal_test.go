package backplane

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The Redis in memory answers byte for byte as a real one does, in both versions
// of the protocol.
func TestTheRedisInMemoryAnswersAsARealOne(t *testing.T) {
	dialogue := [][]string{
		{"ping"}, {"ping", "1"}, {"publish", "c", "nobody"}, {"pubsub", "numsub", "c"},
		{"subscribe", "c", "d"}, {"ping"}, {"ping", "2"}, {"subscribe", "c"}, {"unsubscribe", "c", "never"}, {"unsubscribe", "d"}, {"ping", "3"},
	}
	talk := func(t *testing.T, near net.Conn, hello bool) (answers []string) {
		defer near.Close()
		r := bufio.NewReader(near)
		say := func(args []string) string {
			text := fmt.Sprintf("*%d\r\n", len(args))
			for _, arg := range args {
				text += bulk(arg)
			}
			if _, err := io.WriteString(near, text); err != nil {
				t.Fatal(err)
			}
			replies := 1
			if strings.HasSuffix(args[0], "subscribe") {
				replies = len(args) - 1
			}
			text = ""
			for range replies {
				text += readReply(t, r)
			}
			return text
		}
		if hello {
			say([]string{"hello", "3"})
		}
		for _, args := range dialogue {
			answers = append(answers, strings.Join(args, " ")+" => "+say(args))
		}
		return answers
	}
	s := startRedis(t)
	for _, resp3 := range []bool{false, true} {
		near, err := newMemoryRedis(t).dial(nil)
		if err != nil {
			t.Fatal(err)
		}
		real, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		got, want := talk(t, near, resp3), talk(t, real, resp3)
		if !slices.Equal(got, want) {
			t.Errorf("RESP3 %v:\n got %q\nwant %q", resp3, got, want)
		}
	}
}

// readReply returns one reply as its bytes.
func readReply(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '%':
		n *= 2
		fallthrough
	case '*', '>':
		for range n {
			line += readReply(t, r)
		}
	case '$':
		text := make([]byte, n+2)
		if _, err := io.ReadFull(r, text); err != nil {
			t.Fatal(err)
		}
		line += string(text)
	}
	return line
}
