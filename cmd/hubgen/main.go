// Command hubgen writes the client of a hub, in TypeScript, for rxjs, for Angular,
// or in C#, or describes the hub in AsyncAPI:
//
//	//go:generate go run github.com/hubwire/hubwire/cmd/hubgen -lang angular -type Chat -o chat.ts .
//
// The argument is the folder of the package that declares the hub; none means
// the current one. The types of server's ClientMethods and ClientFunctions
// that the package declares as exported variables are the client methods; a
// comment after such a declaration names its arguments ("// user, text").
// Where methods are renamed, -options names what has the *server.Options.
// -protocol messagepack writes TypeScript for clients that speak it; C# is for
// both protocols. -title, -version, -path and -server are what an AsyncAPI document
// says beside the hub.
//
// Reflection needs the type itself, so hubgen runs a small program inside the
// user's module, in a folder that it removes afterwards.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"

	"github.com/hubwire/hubwire/server/hubgen"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hubgen:", err)
		os.Exit(1)
	}
}

// functions are those of package hubgen.
var functions = map[string]string{"ts": "TypeScript", "rxjs": "RxJS", "angular": "Angular", "asyncapi": "AsyncAPI", "cs": "CSharp"}

var namespaces = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`)

func languages() []string { return slices.Sorted(maps.Keys(functions)) }

// run is main without the process. The output file is written only if all
// went well.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("hubgen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	lang := flags.String("lang", "ts", "what to write: "+strings.Join(languages(), ", "))
	codec := flags.String("protocol", "json", "the hub protocol that the client speaks: json or messagepack")
	namespace := flags.String("namespace", "", "the namespace of C#; none means the name of the hub followed by HubClient")
	var info hubgen.Info
	flags.StringVar(&info.Title, "title", "", "the title of an AsyncAPI document; none means the name of the hub")
	flags.StringVar(&info.Version, "version", "", "the version of the application in an AsyncAPI document; none means 0.0.0")
	flags.StringVar(&info.Path, "path", "", "where the hub is mounted, for an AsyncAPI document: /chat, for instance")
	flags.StringVar(&info.Server, "server", "", "the URL of the server, for an AsyncAPI document: wss://example.com, for instance")
	hub := flags.String("type", "", "the type of the hub, exported by the package")
	options := flags.String("options", "", "an exported variable, or a function without parameters, of the package: the hub's *server.Options")
	file := flags.String("o", "", "the file to write; none means standard output")
	if err := flags.Parse(args); err != nil {
		return err
	}
	function, ok := functions[*lang]
	switch {
	case !ok:
		return fmt.Errorf("-lang is %q, must be one of %s", *lang, strings.Join(languages(), ", "))
	case *codec != "json" && *codec != "messagepack":
		return fmt.Errorf("-protocol is %q, must be json or messagepack", *codec)
	case *namespace != "" && (*lang != "cs" || !namespaces.MatchString(*namespace)):
		return fmt.Errorf("-namespace is %q, must be that of C#, for -lang cs", *namespace)
	case info != (hubgen.Info{}) && *lang != "asyncapi":
		return errors.New("-title, -version, -path and -server are those of a document: -lang asyncapi")
	case *hub == "":
		return errors.New("-type is missing: which type is the hub?")
	case flags.NArg() > 1:
		return fmt.Errorf("one package at a time, not %d", flags.NArg())
	}
	dir := "."
	if flags.NArg() == 1 {
		dir = flags.Arg(0)
	}
	p, err := load(ctx, dir, *hub, *options)
	if err != nil {
		return err
	}
	p.function, p.packed, p.namespace, p.info = function, *codec == "messagepack", *namespace, info
	out, err := p.generate(ctx)
	if err != nil {
		return err
	}
	if *file == "" {
		_, err = stdout.Write(out)
		return err
	}
	return os.WriteFile(*file, out, 0o644)
}
