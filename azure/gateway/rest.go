package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure/internal/token"
)

// The REST interface: a holder of a key can send, close, and manage groups without
// being an app server. The version v1 is in the path, later ones in the
// query. An operation is done once it is answered, and works beside app servers as
// theirs do.

// Versions after v1.
const (
	v2022   = "2022-06-01"
	v2022b  = "2022-11-01"
	v2023   = "2023-07-01"
	v2024   = "2024-12-01"
	noOther = ""
)

var versions = []string{v2022, v2022b, v2023, v2024}

// An operation is what a method does to a path.
type operation struct {
	v1    bool   // v1 has it
	since string // the first of the later versions that has it; noOther: none
	run   func(*restCall) (int, error)
}

// largestBody bounds the body of a request, in bytes, as in Azure.
const largestBody = 1 << 20

// A restCall is a request that was let in.
type restCall struct {
	w       http.ResponseWriter
	r       *http.Request
	hub     *hub
	old     bool   // version v1
	api     string // the version, if it is a later one
	path    []string
	actions []bool // which parts of it begin with a colon that is not escaped
}

// A restError is an answer that refuses a request.
type restError struct {
	status int
	code   string // x-ms-error-code, which clients of the interface look at
	text   string
}

func (e *restError) Error() string { return e.text }

func notFound(code, text string) *restError { return &restError{http.StatusNotFound, code, text} }

func badRequest(text string) *restError { return &restError{http.StatusBadRequest, "BadRequest", text} }

var errNoRoute = notFound("NotFound", "There is no such operation.")

var hubName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// serveREST serves /api/hubs and /api/v1/hubs.
func (g *Gateway) serveREST(w http.ResponseWriter, r *http.Request) {
	c, err := g.newRESTCall(w, r)
	status := 0
	if err == nil {
		status, err = c.run()
	}
	var no *restError
	switch {
	case err == nil && status == 0: // it has answered itself
	case err == nil:
		w.WriteHeader(status)
	case errors.As(err, &no):
		no.answer(w)
	default:
		badRequest(err.Error()).answer(w)
	}
}

func (e *restError) answer(w http.ResponseWriter) {
	h := w.Header()
	h.Set("X-Ms-Error-Code", e.code)
	h.Set("Content-Type", "application/json")
	if e.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(e.status)
	body, _ := json.Marshal(struct { // texts always encode
		Code    string `json:"code"`
		Message string `json:"message"`
	}{e.code, e.text})
	_, _ = w.Write(body) // the caller is gone
}

func (g *Gateway) newRESTCall(w http.ResponseWriter, r *http.Request) (*restCall, error) {
	t, err := token.Verify(bearer(r), *g.keys.Load(), time.Now())
	if err == nil {
		err = t.ForPath(r.URL.Path)
	}
	if err != nil {
		g.often.Info("token refused", "reason", err, "of", "REST", "remote", r.RemoteAddr)
		return nil, &restError{http.StatusUnauthorized, "Unauthorized", "The token is not good for this request."}
	}
	c := &restCall{w: w, r: r}
	rest := strings.TrimPrefix(r.URL.EscapedPath(), "/api/")
	if rest, c.old = strings.CutPrefix(rest, "v1/"); !c.old {
		switch c.api = r.URL.Query().Get("api-version"); {
		case c.api == "":
			return nil, badRequest("The query has no api-version.")
		case !slices.Contains(versions, c.api):
			return nil, badRequest("The api-version is none of " + strings.Join(versions, ", ") + ".")
		}
	}
	for part := range strings.SplitSeq(strings.Trim(rest, "/"), "/") {
		plain, err := url.PathUnescape(part)
		if err != nil || plain == "" || len(plain) > 1024 {
			return nil, badRequest("The path cannot be read.")
		}
		c.path = append(c.path, plain)
		c.actions = append(c.actions, strings.HasPrefix(part, ":")) // a name has %3A there
	}
	if len(c.path) < 2 || c.path[0] != "hubs" {
		return nil, errNoRoute
	}
	name, app := c.path[1], r.URL.Query().Get("application")
	if !hubName.MatchString(name) || app != "" && !hubName.MatchString(app) {
		return nil, badRequest("A hub, or an application, has a name of letters, digits and _ that begins with a letter.")
	}
	if app != "" {
		name = app + "_" + name
	}
	c.hub, c.path, c.actions = g.hub(name), c.path[2:], c.actions[2:]
	c.r.Body = http.MaxBytesReader(w, r.Body, largestBody)
	return c, nil
}

// run finds the operation by the form of the path: names of collections and of
// actions stay, what they are applied to is *.
func (c *restCall) run() (status int, err error) {
	form := make([]string, len(c.path))
	for i, part := range c.path {
		form[i] = "*"
		if i%2 == 0 || c.actions[i] {
			form[i] = part
		}
	}
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, operations := range []map[string]operation{restSends, restCloses, restGroups} {
		o, ok := operations[method+" "+strings.Join(form, "/")]
		switch {
		case !ok:
		case c.old && o.v1, !c.old && o.since != noOther && c.api >= o.since: // versions are dates
			return o.run(c)
		}
	}
	return 0, errNoRoute
}

// status is the status of version v1, or that of the later ones.
func (c *restCall) status(old, later int) int {
	if c.old {
		return old
	}
	return later
}

// answer answers 200 with a JSON value.
func (c *restCall) answer(v any) (int, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return 0, err
	}
	c.w.Header().Set("Content-Type", typeJSON)
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(body) // the caller is gone
	return 0, nil
}
