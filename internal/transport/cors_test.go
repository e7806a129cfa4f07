package transport

import (
	"net/http"
	"strings"
	"testing"
)

func corsHeaders(r reply) string {
	var all []string
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Vary"} {
		if v := r.header.Values(name); len(v) > 0 {
			all = append(all, strings.TrimPrefix(name, "Access-Control-Allow-")+"="+strings.Join(v, "|"))
		}
	}
	return strings.Join(all, " ")
}

func TestCORS(t *testing.T) {
	one := []string{"http://app.test"}
	preflight := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-requested-with,x-signalr-user-agent"}
	tests := []struct {
		name             string
		origins, allowed []string
		method, path     string
		origin           string
		headers          []string
		status           int
		want             string
	}{
		{"preflight of an allowed origin", one, nil, "OPTIONS", "/hub/negotiate", "http://app.test", preflight, 204,
			"Origin=http://app.test Credentials=true Methods=POST Headers=x-requested-with,x-signalr-user-agent"},
		{"preflight of another origin", one, nil, "OPTIONS", "/hub/negotiate", "http://other.test", preflight, 204, ""},
		{"preflight of one of two origins", []string{"http://a.test", "http://app.test/"}, nil, "OPTIONS", "/hub", "http://app.test", preflight, 204,
			"Origin=http://app.test Credentials=true Methods=POST Headers=x-requested-with,x-signalr-user-agent Vary=Origin"},
		{"preflight of any origin", []string{"*"}, nil, "OPTIONS", "/hub", "http://x.test", preflight, 204,
			"Origin=* Methods=POST Headers=x-requested-with,x-signalr-user-agent"},
		{"preflight of a subdomain", []string{"http://*.app.test"}, nil, "OPTIONS", "/hub", "http://a.app.test", preflight[:1], 204,
			"Origin=http://a.app.test Credentials=true Methods=POST Vary=Origin"},
		{"preflight that asks for no headers", one, nil, "OPTIONS", "/hub", "http://app.test", preflight[:1], 204,
			"Origin=http://app.test Credentials=true Methods=POST"},
		{"preflight with a list of headers", one, []string{"X-Mine", "Content-Type"}, "OPTIONS", "/hub", "http://app.test", preflight, 204,
			"Origin=http://app.test Credentials=true Methods=POST Headers=x-requested-with,x-signalr-user-agent,x-signalr-connection-token,authorization,content-type,x-mine"},
		{"OPTIONS without a method is no preflight", one, nil, "OPTIONS", "/hub", "http://app.test", nil, 405, "Origin=http://app.test Credentials=true"},
		{"OPTIONS without CORS", nil, nil, "OPTIONS", "/hub", "http://app.test", preflight, 405, ""},
		{"preflight below the route", one, nil, "OPTIONS", "/hub/x", "http://app.test", preflight, 404, ""},
		{"an error", one, nil, "GET", "/hub?id=x", "http://app.test", nil, 404, "Origin=http://app.test Credentials=true"},
		{"an error of SSE", one, nil, "GET", "/hub?id=x", "http://app.test", []string{"Accept: text/event-stream"}, 404, "Origin=http://app.test Credentials=true"},
		{"another origin is served without CORS headers", one, nil, "POST", "/hub/negotiate", "http://other.test", nil, 200, ""},
		{"no origin", one, nil, "POST", "/hub/negotiate", "", nil, 200, ""},
		{"no CORS", nil, nil, "POST", "/hub/negotiate", "http://app.test", nil, 200, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opts := defaults()
			opts.AllowedOrigins, opts.AllowedHeaders = test.origins, test.allowed
			n := serve(t, opts, nil)
			headers := test.headers
			if test.origin != "" {
				headers = append([]string{"Origin: " + test.origin}, headers...)
			}
			r := n.do(test.method, test.path, "", headers...)
			if r.status != test.status || corsHeaders(r) != test.want {
				t.Errorf("%s %s\n got: %d %s\nwant: %d %s", test.method, test.path, r.status, corsHeaders(r), test.status, test.want)
			}
			if r.status == 204 && (r.body != "" || r.header.Get("Content-Type") != "") {
				t.Errorf("preflight = %v, want no body", r)
			}
		})
	}
}

func TestOriginsAreComparedAsBrowsersWriteThem(t *testing.T) {
	for _, test := range []struct {
		allowed, origin string
		want            bool
	}{
		{"http://localhost:4200/", "http://localhost:4200", true},
		{"HTTP://LocalHost:4200", "http://localhost:4200", true},
		{" https://app.test ", "https://app.test", true},
		{"https://app.test:443", "https://app.test", true},
		{"http://app.test:80/", "http://app.test", true},
		{"https://app.test", "https://app.test:443", true},
		{"https://app.test:80", "https://app.test", false},
		{"https://app.test", "http://app.test", false},
		{"https://app.test", "https://app.test:8443", false},
		{"https://app.test", "https://app.test.evil.test", false},
		{"https://app.test", "https://app.test@evil.test", false},
		{"https://app.test", "https://evil.test/https://app.test", false},
		{"https://app.test", "null", false},
		{"https://app.test", "https://*.app.test", false},
		{"http://[::1]:5000", "http://[::1]:5000", true},
		{"https://*.app.test", "https://a.app.test", true},
		{"https://*.app.test", "https://a.b.app.test", true},
		{"https://*.app.test:444", "https://a.app.test:444", true},
		{"https://*.app.test", "https://app.test", false},
		{"https://*.app.test", "https://.app.test", false},
		{"https://*.app.test", "https://evilapp.test", false},
		{"https://*.app.test", "http://a.app.test", false},
		{"https://*.app.test", "https://a.app.test:8443", false},
		{"https://*.app.test", "https://a.app.test.evil.test", false},
		{"https://*.app.test", "https://*.app.test", false},
	} {
		p := NewCORSPolicy([]string{test.allowed}, nil, nil)
		if err := CheckOrigin(test.allowed); err != nil {
			t.Errorf("CheckOrigin(%q) = %v", test.allowed, err)
		}
		if got := p.allows(test.origin, nil); got != test.want {
			t.Errorf("%q allows %q: %v, want %v", test.allowed, test.origin, got, test.want)
		}
	}
	for _, wrong := range []string{"", "null", "app.test", "localhost:4200", "//app.test", "https://", "https://app.test/path", "https://app.test?x", "https://app.test#x",
		"https://user@app.test", "https://*", "https://*.", "https://a.*.test", "https://*.*.test", "https://app.test:x", "https://%zz"} {
		if err := CheckOrigin(wrong); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("CheckOrigin(%q) = %v, want an error that names it", wrong, err)
		}
		if p := NewCORSPolicy([]string{wrong}, nil, nil); p.allows(wrong, nil) {
			t.Errorf("%q is allowed", wrong)
		}
	}
}

func TestAFunctionMayAllowMoreOrigins(t *testing.T) {
	opts := defaults()
	opts.AllowedOrigins = []string{"http://app.test"}
	opts.AllowOrigin = func(origin string, r *http.Request) bool {
		if origin == "http://panics.test" {
			panic("hook")
		}
		return origin == "http://asked.test" && r.URL.Path != ""
	}
	n := serve(t, opts, nil)
	for origin, allowed := range map[string]bool{"http://app.test": true, "http://asked.test": true, "http://other.test": false, "http://panics.test": false} {
		status, want := 403, ""
		if allowed {
			status, want = 101, "Origin="+origin+" Credentials=true Vary=Origin"
		}
		if r := n.do("GET", "/hub", "", append([]string{"Origin: " + origin}, handshakeHeaders...)...); r.status != status {
			t.Errorf("WebSocket of %s = %v, want %d", origin, r, status)
		}
		if r := n.do("GET", "/hub?id=x", "", "Origin: "+origin); corsHeaders(r) != want {
			t.Errorf("poll of %s has %s, want %s", origin, corsHeaders(r), want)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://*.app.test", "http://[::1]:80/", "null", "https://a@b", "https://%2a.app.test"} {
		f.Add(s)
	}
	p := NewCORSPolicy([]string{"https://app.test", "https://*.app.test"}, nil, nil)
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOrigin(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(o.host, "*/@ ") && !strings.Contains(s, "[") {
			t.Errorf("parseOrigin(%q) = %+v", s, o)
		}
		if p.allows(s, nil) && o.host != "app.test" && !strings.HasSuffix(o.host, ".app.test") {
			t.Errorf("%q is allowed", s)
		}
	})
}
