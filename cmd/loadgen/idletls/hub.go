//go:build linux

package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/hubwire/hubwire/server"
)

// memory is what the hub says of itself, in bytes but for Objects.
type memory struct{ RSS, Heap, Objects, Stacks int }

type idleHub struct{ server.Hub }

// beHub serves a hub, prints its address, and answers each line of in with a memory, until in
// ends. After the line "collect" that is without garbage.
func beHub(in io.Reader, out io.Writer) error {
	if *profile != "" {
		runtime.MemProfileRate = 1
	}
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", server.MustHub(idleHub{}, &server.Options{Logger: slog.New(slog.DiscardHandler)}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr()
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 30 * time.Second}
	if !*plain {
		certificate, err := selfSigned()
		if err != nil {
			return err
		}
		web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
		if !*bare {
			l = server.TLSListener(l)
		}
	}
	failed := make(chan error, 2)
	go func() {
		if *plain {
			failed <- web.Serve(l)
		} else {
			failed <- web.ServeTLS(l, "", "")
		}
	}()
	fmt.Fprintln(out, address)
	go func() { failed <- answer(in, out) }()
	return <-failed
}

func answer(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() == "collect" {
			runtime.GC() // pools give up what they have at the second
			debug.FreeOSMemory()
		}
		m, err := memoryNow()
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(m); err != nil {
			return err
		}
	}
	if *profile == "" {
		return lines.Err()
	}
	f, err := os.Create(*profile)
	if err != nil {
		return err
	}
	return errors.Join(lines.Err(), pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}

func memoryNow() (memory, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return memory{}, err
	}
	var size, resident int
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return memory{}, err
	}
	return memory{RSS: resident * os.Getpagesize(), Heap: int(m.HeapAlloc), Objects: int(m.HeapObjects), Stacks: int(m.StackInuse)}, nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
