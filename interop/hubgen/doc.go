// Package hubgen checks what the library's package of that name writes with
// the compilers and the official clients of both languages.
package hubgen
