// Hubwire is the command of this repository that servers run.
//
//	hubwire gateway            # a SignalR service on this machine, for app servers of C# or Go
//	hubwire gateway -help      # what it can be told, by flags, environment or a file
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `hubwire is SignalR on your own machines.

  hubwire gateway          a SignalR service: app servers with AddAzureSignalR, or in Go
                           with package azure, connect to it, and it has their clients;
                           or none at all, with webhooks and REST in their place
  hubwire gateway -help    its settings
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	again := make(chan os.Signal, 1)
	notifyReload(again)
	code := run(ctx, os.Args[1:], os.Getenv, again, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command; it returns its exit code. The settings of a gateway are read
// again at each signal.
func run(ctx context.Context, args []string, env func(string) string, again <-chan os.Signal, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if args[0] != "gateway" {
		fmt.Fprintf(stderr, "hubwire: there is no command %q\n\n%s", args[0], usage)
		return 2
	}
	return runGateway(ctx, args[1:], env, again, stdout, stderr)
}
