// Package demo tests the page of cmd/demo in a browser.
package demo
