package soak

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// descriptors returns what the descriptors of this process are, without TCP connections
// to the address except: go-redis keeps those in pools, dead ones too, until they are
// used again. It asks Linux; elsewhere there are none to compare.
func descriptors(except string) (all []string) {
	const folder = "/proc/self/fd"
	open, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	remote := remoteByInode()
	for _, fd := range open {
		is, err := os.Readlink(filepath.Join(folder, fd.Name()))
		if err != nil {
			continue // what has listed them
		}
		switch to, ok := remote[is]; {
		case ok && to == except:
			continue
		case ok:
			is += " to " + to
		}
		all = append(all, is)
	}
	slices.Sort(all)
	return all
}

// remoteByInode is Linux' table of TCP connections over IPv4, which all are that this
// program makes: by what its descriptors are called, the addresses of the other ends.
func remoteByInode() map[string]string {
	remote := map[string]string{}
	table, _ := os.ReadFile("/proc/net/tcp") // where there is none, nothing is left out
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 {
			remote["socket:["+f[9]+"]"] = decoded(f[2])
		}
	}
	return remote
}

// decoded is an address of /proc/net/tcp as Go writes it: 0100007F:1F90 is
// 127.0.0.1:8080. The four bytes are a number of this machine, whose first byte, as all
// machines have it that run our tests, is the lowest.
func decoded(address string) string {
	var ip uint32
	var port uint16
	if _, err := fmt.Sscanf(address, "%08X:%04X", &ip, &port); err != nil {
		return address // the table's headline
	}
	at := netip.AddrFrom4([4]byte{byte(ip), byte(ip >> 8), byte(ip >> 16), byte(ip >> 24)})
	return at.String() + ":" + strconv.Itoa(int(port))
}

// What the census leaves out, and only that, are connections to that address.
func TestDescriptorsAreFoundByTheirRemoteAddress(t *testing.T) {
	kept, left := listen(t), listen(t)
	dial(t, kept)
	dial(t, left)
	all, rest := descriptors(""), descriptors(left)
	if all == nil {
		t.Skip("descriptors are counted on Linux only")
	}
	to := func(address string) func(string) bool {
		return func(is string) bool { return strings.HasSuffix(is, " to "+address) }
	}
	if len(rest) != len(all)-1 || slices.ContainsFunc(rest, to(left)) || !slices.ContainsFunc(rest, to(kept)) {
		t.Errorf("without the connection to %s, but with that to %s, there are %q, of %q", left, kept, rest, all)
	}
}

func listen(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func dial(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
}
