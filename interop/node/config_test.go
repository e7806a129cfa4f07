package main

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/azure"
)

func TestFlagsAreThoseOfTheReferenceNode(t *testing.T) {
	c, err := parseConfig([]string{
		"--urls", "http://127.0.0.1:0;http://localhost", "--redis", "h:1", "--redis-wait-ms", "6", "--prefix", "P:", "--detailed", "True", "--log", "Warning",
		"--max-message", "1000", "--parallel", "2", "--stateful-buffer", "5", "--client-timeout-ms", "1.5", "--keepalive-ms", "2",
		"--handshake-timeout-ms", "3", "--poll-timeout-ms", "4", "--disconnect-timeout-ms=5",
		"--nodes", "3", "--direct", "True", "--refusals", "f", "--application", "app", "--connections", "4", "--shutdown", "MigrateClients", "--sticky", "Required",
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"127.0.0.1:0", "localhost:80"}; !slices.Equal(c.addresses, want) {
		t.Errorf("addresses = %q, want %q", c.addresses, want)
	}
	if !c.logger.Enabled(t.Context(), slog.LevelWarn) || c.logger.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("--log Warning does not log warnings only")
	}
	got := *c
	got.addresses, got.logger = nil, nil
	want := config{
		redis: "h:1", redisWait: 6 * time.Millisecond, prefix: "P:", detailed: true, maximumMessage: 1000, parallel: 2, statefulBuffer: 5,
		clientTimeout: 1500 * time.Microsecond, keepAlive: 2 * time.Millisecond, handshakeTimeout: 3 * time.Millisecond,
		pollTimeout: 4 * time.Millisecond, disconnect: 5 * time.Millisecond, nodes: 3, direct: true, refusals: "f",
		azure: azure.Options{
			ApplicationName: "app", InitialConnections: 4, Sticky: azure.StickyRequired,
			Shutdown: azure.GracefulShutdown{Mode: azure.ShutdownMigrateClients},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parseConfig = %+v\nwant %+v", got, want)
	}
}

func TestWithoutFlagsTheDefaultsOfTheReferenceNodeHold(t *testing.T) {
	c, err := parseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.logger.Enabled(t.Context(), slog.LevelError) {
		t.Error("the node logs without --log")
	}
	if !slices.Equal(c.addresses, []string{"127.0.0.1:5000"}) || c.maximumMessage != 32768 || c.parallel != 1 || c.detailed || c.redisWait != time.Minute {
		t.Errorf("parseConfig() = %+v", c)
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range []string{
		"--urls ftp://a", "--urls http://", "--urls %", "--detailed perhaps", "--log Loud", "--parallel x",
		"--keepalive-ms x", "--direct perhaps", "--shutdown perhaps", "--sticky x", "--azure x --redis y", "--unknown 1", "more",
	} {
		if c, err := parseConfig(strings.Fields(args)); err == nil {
			t.Errorf("parseConfig(%s) = %+v, want an error", args, c)
		}
	}
}
