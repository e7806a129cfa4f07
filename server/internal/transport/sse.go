package transport

import "net/http"

func (e *Endpoint) serveSSE(w http.ResponseWriter, r *http.Request, c *Conn, user any)  {}
func (e *Endpoint) servePoll(w http.ResponseWriter, r *http.Request, c *Conn, user any) {}
func (e *Endpoint) servePost(w http.ResponseWriter, r *http.Request, user any)          {}
func (e *Endpoint) serveDelete(w http.ResponseWriter, r *http.Request, user any)        {}

type poll struct{}
