package server

import (
	"net"

	"github.com/hubwire/hubwire/internal/transport"
)

// TLSListener returns a listener for [http.Server.ServeTLS], or for tls.NewListener, in
// place of l. With it crypto/tls keeps up to 1.5 KB less for each connection: it reads
// what a client says first in small parts, and needs no large buffer for it. A [Node]
// that serves TLS does so by itself. The connections are those of l; one that is a
// *net.TCPConn becomes a type that embeds it.
func TLSListener(l net.Listener) net.Listener { return transport.LeanTLS(l) }
