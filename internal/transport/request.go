package transport

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"weak"
)

// A keptRequest is the request that opened a connection, as the connection
// keeps it. As http.Request it would be half of all that an idle connection
// holds, so it is packed into one text until it is used.
type keptRequest struct {
	packed string
	ctx    context.Context            // not nil: there is a request
	rest   *restOfRequest             // not nil: what has no place in packed
	whole  weak.Pointer[http.Request] // what was given out last, while it is in use
}

// A restOfRequest has one of the two.
type restOfRequest struct {
	tls     *tls.ConnectionState // of a request that is plain without it
	request *http.Request        // without what is in packed
}

// keep remembers r without its body, and with a context that does not end.
func (k *keptRequest) keep(r *http.Request, shared *sharedContext) {
	k.ctx = shared.of(lasting(r.Context()))
	k.packed = pack(r)
	switch {
	case !isPlain(r):
		rest := r.WithContext(k.ctx)
		rest.Header = nil // it is in packed
		rest.Body = http.NoBody
		rest.Response = nil
		k.rest = &restOfRequest{request: rest}
	case r.TLS != nil:
		k.rest = &restOfRequest{tls: r.TLS}
	}
}

// get returns the request, the same as before if that is still in use.
func (k *keptRequest) get() *http.Request {
	if k.ctx == nil {
		return nil
	}
	if r := k.whole.Value(); r != nil {
		return r
	}
	r := unpack(k.packed)
	if k.rest != nil && k.rest.request != nil {
		header := r.Header
		*r = *k.rest.request
		r.Header = header
	} else {
		r = r.WithContext(k.ctx)
		if k.rest != nil {
			r.TLS = k.rest.tls
		}
	}
	k.whole = weak.Make(r)
	return r
}

// tooLarge returns the status that refuses a request whose line or header is
// longer than it may be, or 0. The bounds are Kestrel's, and counted as there: a
// connection keeps its first request, and every route reads the query.
func (o *Options) tooLarge(r *http.Request) int {
	line := len(r.Method) + len(" ") + max(len(r.RequestURI), len(r.URL.RawQuery)) + len(" ") + len(r.Proto) + len("\r\n")
	if line > o.MaximumRequestLine {
		return http.StatusRequestURITooLong
	}
	count, size := 1, len("Host: \r\n")+len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			count++
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	if count > o.MaximumRequestHeaders || size > o.MaximumRequestHeaderSize {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	return 0
}

// isPlain reports whether unpack gives all of r back but for its TLS: if middleware has changed
// the URL, for instance, or the mux found values in the path, it does not.
func isPlain(r *http.Request) bool {
	if r.Form != nil || r.PostForm != nil || r.MultipartForm != nil || r.Trailer != nil ||
		r.TransferEncoding != nil || r.ContentLength != 0 || r.Close || strings.Contains(r.Pattern, "{") {
		return false
	}
	u, err := url.ParseRequestURI(r.RequestURI)
	return err == nil && *u == *r.URL
}

// pack writes the texts of r one after the other with their lengths in front:
// those of the request, then the names of the header, each with the number of
// its values and these. A text that most requests have is a number.
func pack(r *http.Request) string {
	p := make([]byte, 0, 512)
	add := func(s string) {
		if at, usual := placeOfUsual[s]; usual {
			p = binary.AppendUvarint(p, uint64(at)<<1|1)
			return
		}
		p = append(binary.AppendUvarint(p, uint64(len(s))<<1), s...)
	}
	for _, s := range [...]string{r.Method, r.RequestURI, r.Proto, r.Host, r.RemoteAddr, r.Pattern} {
		add(s)
	}
	for name, values := range r.Header {
		add(name)
		p = binary.AppendUvarint(p, uint64(len(values)))
		for _, v := range values {
			add(v)
		}
	}
	return string(p)
}

// remoteAddr is the RemoteAddr of the request.
func (k *keptRequest) remoteAddr() (addr string) {
	if k.ctx == nil {
		return ""
	}
	p := packedTexts(k.packed)
	for range len([...]string{"Method", "RequestURI", "Proto", "Host", "RemoteAddr"}) {
		addr = p.text()
	}
	return addr
}

// packedTexts is what pack has written, or the end of it.
type packedTexts string

func (p *packedTexts) number() int {
	for n, shift := 0, 0; ; shift += 7 {
		b := (*p)[0]
		*p = (*p)[1:]
		if n |= int(b&0x7f) << shift; b < 0x80 {
			return n
		}
	}
}

func (p *packedTexts) text() string {
	n := p.number()
	if n&1 == 1 {
		return usualTexts[n>>1]
	}
	n >>= 1
	s := (*p)[:n]
	*p = (*p)[n:]
	return string(s)
}

func unpack(packed string) *http.Request {
	p := packedTexts(packed)
	r := &http.Request{Body: http.NoBody, Header: http.Header{}}
	for _, s := range [...]*string{&r.Method, &r.RequestURI, &r.Proto, &r.Host, &r.RemoteAddr, &r.Pattern} {
		*s = p.text()
	}
	r.ProtoMajor, r.ProtoMinor, _ = http.ParseHTTPVersion(r.Proto)
	r.URL, _ = url.ParseRequestURI(r.RequestURI) // isPlain has tried it
	for p != "" {
		name := p.text()
		values := make([]string, p.number())
		for i := range values {
			values[i] = p.text()
		}
		r.Header[name] = values
	}
	return r
}
