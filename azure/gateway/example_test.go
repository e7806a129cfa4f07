package gateway_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
)

// A gateway of one's own, for app servers whose connection string is
// "Endpoint=http://localhost;Port=8888;AccessKey=...;Version=1.0;". It lets its
// clients go elsewhere before it ends. The command "hubwire gateway" is this with
// flags, TLS and a change of keys.
func ExampleNew() {
	g, err := gateway.New(&gateway.Options{AccessKeys: []string{os.Getenv("ACCESS_KEY")}})
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: "127.0.0.1:8888", Handler: g}
	go func() {
		if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	if err := g.Shutdown(ctx); err != nil {
		log.Print("clients were cut off: ", err)
	}
	if err := web.Shutdown(ctx); err != nil {
		log.Print(err)
	}
}
