package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/azure/internal/recorded"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

const testdata = "../../../testdata/azure/"

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func name(m wire.Message) string { return reflect.TypeOf(m).Elem().Name() }

// one reads a buffer that is one frame.
func one(tb testing.TB, frame []byte) wire.Message {
	tb.Helper()
	m, n, err := wire.Next(frame)
	if m == nil || n != len(frame) || err != nil {
		tb.Fatalf("Next(%x) = %v, %d of %d bytes, %v", short(frame), m, n, len(frame), err)
	}
	return m
}

func short(b []byte) []byte { return b[:min(len(b), 100)] }

// checkBothWays says that a frame has these members and is what they encode to.
func checkBothWays(t *testing.T, typeName string, members map[string]any, frame []byte) {
	t.Helper()
	want := maps.Clone(members)
	if typeName == "HandshakeRequest" && want["target"] == nil || want["connectionType"] != nil && want["connectionType"].(interface{ String() string }).String() == "0" {
		want["target"] = "" // no other is written
	}
	for _, list := range []string{"payloads", "claims"} {
		if value, ok := want[list]; ok && value == nil {
			want[list] = []any{}
		}
	}
	m := one(t, frame)
	if got := recorded.JSON(recorded.Members(m)); name(m) != typeName || got != recorded.JSON(want) {
		t.Errorf("%x\n is %s %s\nwant %s %s", short(frame), name(m), got, typeName, recorded.JSON(want))
	}
	if again := wire.Append(nil, m); !bytes.Equal(again, frame) {
		t.Errorf("%s %s\nencodes to %x\nwas        %x", typeName, recorded.JSON(members), short(again), short(frame))
	}
	made := recorded.Message(typeName, members)
	if got := wire.Append([]byte("before"), made); string(got) != "before"+string(frame) {
		t.Errorf("%s %s\nencodes to %x\nwant       %x", typeName, recorded.JSON(members), short(got[6:]), short(frame))
	}
}

func TestEveryVectorDecodesToItsMembersAndEncodesToItsBytes(t *testing.T) {
	seen := map[int]bool{}
	n := 0
	for _, v := range recorded.Vectors(t, testdata+"azure-vectors.json") {
		n++
		if v.Type == 0 {
			continue // TestAckPayloads
		}
		seen[v.Type] = true
		t.Run(v.Name, func(t *testing.T) {
			members := maps.Clone(v.Members)
			if v.Message == "RefreshAuth" {
				maps.Copy(members, v.Read) // a time with an offset is the same in UTC
			}
			checkBothWays(t, v.Message, members, unhex(t, v.Hex))
		})
	}
	if n != 397 || len(seen) != 43 {
		t.Errorf("%d vectors of %d types, want 397 of 43", n, len(seen))
	}
}

func TestEveryRecordedFrameDecodesAndEncodesAgain(t *testing.T) {
	n := 0
	for _, s := range recorded.Scenarios(t, testdata+"azure.json") {
		t.Run(s.Name, func(t *testing.T) {
			for _, e := range s.Events {
				if e.Hex == "" || e.Odd != "" || e.Name == "unknown" || e.Name == "" {
					continue
				}
				n++
				frame := unhex(t, e.Hex)
				m := one(t, frame)
				if text, ok := e.Members["message"]; ok && text == nil && m.(*wire.Ack).Message == "" {
					continue // the script wrote nil, which everybody reads as "" and nobody writes
				}
				exactTracingID(e.Members, m)
				checkBothWays(t, e.Name, e.Members, frame)
			}
		})
	}
	if n < 1800 {
		t.Errorf("%d frames were recorded, want 1,800 and more", n)
	}
}

// exactTracingID puts back the bits of a tracing id that the recorder, which
// wrote it as a float, lost.
func exactTracingID(members map[string]any, m wire.Message) {
	rounded, ok := members["tracingId"].(json.Number)
	exact, has := recorded.Members(m)["tracingId"].(uint64)
	if !ok || !has {
		return
	}
	if f, err := rounded.Float64(); err == nil && f == float64(exact) {
		members["tracingId"] = json.Number(strconv.FormatUint(exact, 10))
	}
}

// forms are the messages of the SDK's own tests, without length: today's ("both")
// and those of older SDKs ("decode").
func forms(tb testing.TB) (list [][3]string) {
	text, err := os.ReadFile(testdata + "forms.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		direction, rest, _ := strings.Cut(strings.TrimSpace(line), "\t")
		label, bytes, _ := strings.Cut(rest, "\t")
		list = append(list, [3]string{direction, label, bytes})
	}
	return list
}

func TestFormsOfTodayRoundTripAndOldOnesDecode(t *testing.T) {
	list := forms(t)
	if len(list) != 103 {
		t.Fatalf("%d forms, want 103", len(list))
	}
	for _, f := range list {
		t.Run(f[1], func(t *testing.T) {
			body := unhex(t, f[2])
			frame := append([]byte{byte(len(body) & 0x7f)}, body...)
			if len(body) >= 0x80 {
				frame = append([]byte{byte(len(body)) | 0x80, byte(len(body) >> 7)}, body...)
			}
			m := one(t, frame)
			if wantName := strings.TrimRight(strings.FieldsFunc(f[1], func(r rune) bool { return r == '_' || r == ' ' || r == '(' || r == '-' })[0], "+"); !strings.HasPrefix(wantName, name(m)) && !strings.HasPrefix(f[1], strings.TrimSuffix(name(m), "Data")) && wantName != "ServiceWarningMessage" {
				t.Errorf("is a %s", name(m))
			}
			again := wire.Append(nil, m)
			if f[0] == "both" && !bytes.Equal(again, frame) {
				t.Errorf("encodes to %x, was %x", again, frame)
			}
			if back := one(t, again); !reflect.DeepEqual(back, m) {
				t.Errorf("comes back as %+v, was %+v", back, m)
			}
		})
	}
}

// readsAs are members that the real parser, whose texts are never nil there,
// reads in another way than we do.
func readsAs(r recorded.Result) map[string]any {
	members := maps.Clone(r.Members)
	if r.Type == "HandshakeRequest" && members["target"] == nil {
		members["target"] = "" // nil and no item are an empty text
	}
	if headers, ok := members["headers"].([]any); ok {
		for _, h := range headers {
			values := h.([]any)[1].([]any)
			for i, v := range values {
				if v == nil {
					values[i] = "" // Go's headers have no nil
				}
			}
		}
	}
	return members
}

func TestWhatTheRealParserTakesIsTakenAndTheRestRefused(t *testing.T) {
	cases := recorded.Vectors(t, testdata+"azure-parsing.json")
	if len(cases) != 1798 {
		t.Errorf("%d cases, want 1,798", len(cases))
	}
	for _, v := range cases {
		t.Run(v.Name, func(t *testing.T) {
			buf := unhex(t, v.Hex)
			for i, want := range v.Results {
				m, n, err := wire.Next(buf)
				var frame *wire.FrameError
				switch {
				case want.Stuck > 0:
					if n != 0 || err != wire.ErrStuck || len(buf) != want.Stuck {
						t.Errorf("call %d: %v, %d bytes, %v, want ErrStuck", i, m, n, err)
					}
				case want.Exception != "" && i+1 < len(v.Results) && v.Results[i+1].Stuck > 0:
					if n != 0 || err != wire.ErrStuck {
						t.Errorf("call %d: %v, %d bytes, %v, want ErrStuck", i, m, n, err)
					}
				case want.Exception != "":
					if n == 0 || !errors.As(err, &frame) || m != nil {
						t.Errorf("call %d: %v, %d bytes, %v, want it refused: %s", i, m, n, err, want.Exception)
					}
				case want.Ignored:
					if n == 0 || err != nil || m != nil {
						t.Errorf("call %d: %v, %d bytes, %v, want it passed over", i, m, n, err)
					}
				case want.Incomplete > 0:
					if v.Name == "length 2^31-1" { // more than we read by default
						_, err := wire.FrameSize(buf, -1)
						if n != 0 || err != nil {
							t.Errorf("call %d: %d bytes, %v", i, n, err)
						}
					} else if n != 0 || err != nil || len(buf) != want.Incomplete {
						t.Errorf("call %d: %v, %d bytes, %v, want that more is needed", i, m, n, err)
					}
				case n == 0 || err != nil || m == nil:
					t.Errorf("call %d: %v, %d bytes, %v, want %s %v", i, m, n, err, want.Type, want.Members)
				default:
					got, members := recorded.Members(m), readsAs(want)
					if ack, ok := m.(*wire.Ack); ok && ack.Payload == nil && members["payload"] == "" {
						members["payload"] = nil // we can tell nil from empty
					}
					if name(m) != want.Type || recorded.JSON(got) != recorded.JSON(members) {
						t.Errorf("call %d: %s %s\nwant %s %s", i, name(m), recorded.JSON(got), want.Type, recorded.JSON(members))
					}
				}
				buf = buf[n:]
			}
			if m, n, err := wire.Next(buf); len(buf) > 0 && n > 0 {
				t.Errorf("then %v, %d bytes, %v", m, n, err)
			}
		})
	}
}

func TestAckPayloads(t *testing.T) {
	n := 0
	for _, v := range recorded.Vectors(t, testdata+"azure-vectors.json") {
		if v.Type != 0 {
			continue
		}
		n++
		t.Run(v.Name, func(t *testing.T) {
			payload := unhex(t, v.Hex)
			var got string
			var again []byte
			if v.Message == "GroupMemberQueryResponse" {
				g, err := wire.ParseGroupMembers(payload)
				if err != nil {
					t.Fatal(err)
				}
				list := []any{}
				for _, m := range g.Members {
					list = append(list, []any{m.ConnectionID, m.UserID})
				}
				got = recorded.JSON(map[string]any{"members": list, "continuationToken": g.ContinuationToken})
				again = wire.AppendGroupMembers(nil, g)
			} else {
				claims, err := wire.ParseClaims(payload)
				if err != nil {
					t.Fatal(err)
				}
				list := []any{}
				for _, c := range claims {
					list = append(list, []any{c.Type, c.Value})
				}
				got = recorded.JSON(map[string]any{"claims": list})
				again = wire.AppendClaims(nil, claims)
			}
			if got != recorded.JSON(v.Members) || !bytes.Equal(again, payload) {
				t.Errorf("is %s, encodes to %x, want %s, %x", got, again, recorded.JSON(v.Members), payload)
			}
			for i := range payload {
				_, err1 := wire.ParseGroupMembers(payload[:i])
				_, err2 := wire.ParseClaims(payload[:i])
				if err1 != wire.ErrAckPayload || err2 != wire.ErrAckPayload {
					t.Errorf("cut after %d bytes: %v, %v", i, err1, err2)
				}
			}
		})
	}
	if n != 5 {
		t.Errorf("%d payloads, want 5", n)
	}
}

func TestAFrameCutAnywhereNeedsMore(t *testing.T) {
	for _, v := range recorded.Vectors(t, testdata+"azure-vectors.json") {
		frame := unhex(t, v.Hex)
		if v.Type == 0 {
			continue
		}
		step := max(1, len(frame)/300)
		for i := 0; i < len(frame); i += step {
			if m, n, err := wire.Next(frame[:i]); m != nil || n != 0 || err != nil {
				t.Fatalf("%s cut after %d bytes: %v, %d, %v", v.Name, i, m, n, err)
			}
			if size, err := wire.FrameSize(frame[:i], 0); err != nil || size != 0 && size != len(frame) {
				t.Fatalf("%s cut after %d bytes: size %d, %v, want %d", v.Name, i, size, err, len(frame))
			}
		}
	}
}

func TestLengthsOfEverySizeAreTheShortest(t *testing.T) {
	for _, n := range slices.Concat([]int{70_000}, around(1<<7), around(1<<14), around(1<<21)) {
		for _, id := range []string{"", "c", strings.Repeat("c", 48), strings.Repeat("c", 49), "größe"} {
			m := &wire.ConnectionData{ConnectionID: id, Payload: bytes.Repeat([]byte{'x'}, n), DataType: wire.DataOther}
			frame := wire.Append(nil, m)
			got := one(t, frame).(*wire.ConnectionData)
			if got.ConnectionID != id || !bytes.Equal(got.Payload, m.Payload) || got.DataType != wire.DataOther {
				t.Errorf("%d bytes for %q come back as %d for %q", n, id, len(got.Payload), got.ConnectionID)
			}
			prefix := 1
			for frame[prefix-1] >= 0x80 {
				prefix++
			}
			if body := len(frame) - prefix; body < 1<<(7*(prefix-1)) && prefix > 1 {
				t.Errorf("a length of %d bytes for %d", prefix, body)
			}
			u := &wire.ErrorCompletion{Error: strings.Repeat("x", n)}
			if back := one(t, wire.Append(nil, u)).(*wire.ErrorCompletion); back.Error != u.Error {
				t.Errorf("an error of %d bytes comes back with %d", n, len(back.Error))
			}
		}
	}
}

// around are the numbers next to a bound, and those whose frame reaches it.
func around(n int) (list []int) {
	for i := n - 80; i <= n+2; i++ {
		list = append(list, i)
	}
	return list
}
