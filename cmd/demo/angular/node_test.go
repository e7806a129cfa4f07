package angular

import "testing"

func TestVersionsOfNodeThatAngularTakes(t *testing.T) {
	for version, want := range map[string]bool{
		"v20.20.2\n": false, "v22.22.2\n": false, "v22.22.3\n": true, "v22.23.0\n": true, "v23.9.0\n": false,
		"v24.14.9\n": false, "v24.15.0\n": true, "v25.0.0\n": false, "v26.0.0\n": true, "v31.0.0\n": true, "": false,
	} {
		if got := runsAngular(version); got != want {
			t.Errorf("runsAngular(%q) = %v", version, got)
		}
	}
}
