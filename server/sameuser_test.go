package server

import "testing"

func TestAUserWithoutIDIsNeverTheSameAsAnother(t *testing.T) {
	type claims = map[string]any
	nobody := User{}
	for _, test := range []struct {
		name string
		a, b User
		want bool
	}{
		{"one id", User{ID: "a", Claims: claims{"role": "x"}}, User{ID: "a", Name: "A"}, true},
		{"two ids", User{ID: "a"}, User{ID: "b"}, false},
		{"ids in another case", User{ID: "a"}, User{ID: "A"}, false},
		{"two ids, one sub", User{ID: "a", Claims: claims{"sub": "s"}}, User{ID: "b", Claims: claims{"sub": "s"}}, true},
		{"one id, two subs", User{ID: "a", Claims: claims{"sub": "s"}}, User{ID: "a", Claims: claims{"sub": "t"}}, false},
		{"an id and none", User{ID: "a"}, User{Name: "a"}, false},
		{"nobody twice", nobody, nobody, true},
		{"nobody and somebody", nobody, User{Name: "a"}, false},
		{"two names", User{Name: "a"}, User{Name: "b"}, false},
		{"one name", User{Name: "a"}, User{Name: "a"}, true},
		{"one sub, other claims", User{Claims: claims{"sub": "s", "exp": 1}}, User{Claims: claims{"sub": "s", "exp": 2}}, true},
		{"two subs", User{Claims: claims{"sub": "s"}}, User{Claims: claims{"sub": "t"}}, false},
		{"a sub and none", User{Claims: claims{"sub": "s"}}, User{Claims: claims{"role": "s"}}, false},
		{"one sub, two UPNs", User{Claims: claims{"sub": "s", upnClaim: "a"}}, User{Claims: claims{"sub": "s", upnClaim: "b"}}, true},
		{"one UPN", User{Claims: claims{upnClaim: "a", "exp": 1}}, User{Claims: claims{upnClaim: "a"}}, true},
		{"two name identifiers", User{Claims: claims{nameIdentifierClaim: "a"}}, User{Claims: claims{nameIdentifierClaim: "b"}}, false},
		{"nothing but different claims", User{Claims: claims{"mail": "a"}}, User{Claims: claims{"mail": "b"}}, false},
		{"nothing but the same claims", User{Claims: claims{"mail": []any{"a"}}}, User{Claims: claims{"mail": []any{"a"}}}, true},
	} {
		if got := sameUser(test.a, test.b); got != test.want || got != sameUser(test.b, test.a) {
			t.Errorf("%s: sameUser = %v, want %v", test.name, got, test.want)
		}
	}
	if !sameUser(nil, nil) || sameUser(nil, User{ID: "a"}) { // no Authenticate
		t.Error("sameUser of nobody at all")
	}
}
