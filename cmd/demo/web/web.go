// Package web has the files of the demo's plain page: the page, its style, its
// scripts and the official JavaScript client. The page of Angular has its style.
package web

import "embed"

// Files are those of this folder.
//
//go:embed *.html *.css *.js third-party
var Files embed.FS
