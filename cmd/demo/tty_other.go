//go:build !unix

package main

func ignoreBackgroundReads() {} // only Unix has programs in the background of a terminal
