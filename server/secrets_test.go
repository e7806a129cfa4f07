package server

import (
	"net/http"
	"testing"
)

func TestSecretsOfARequestAreRemovedFromErrors(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/hub?id=connection-token&access_token=ey.from.query", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer eyJhbGciOi.J9.c2ln==")
	r.Header.Set("Cookie", "session=0123456789; a=b")
	for text, want := range map[string]string{
		"token eyJhbGciOi.J9.c2ln== is bad":              "token [secret] is bad",
		"header Bearer eyJhbGciOi.J9.c2ln== is bad":      "header [secret] is bad",
		"session 0123456789 is over":                     "session [secret] is over",
		"ey.from.query or connection-token":              "[secret] or [secret]",
		"Bearer tokens are needed; a and b are no words": "Bearer tokens are needed; a and b are no words",
	} {
		if got := withoutSecrets(text, r); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
