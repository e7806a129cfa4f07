//go:build !unix

package harness

import "os/exec"

// ownGroup does nothing where there are no process groups.
func ownGroup(*exec.Cmd) {}

// signalGroup ends the process itself where there are no process groups.
func signalGroup(cmd *exec.Cmd, _ bool) {
	// An error means that it has ended already.
	_ = cmd.Process.Kill()
}
