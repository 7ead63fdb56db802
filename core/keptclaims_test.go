package core

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// readsAll holds that each member is found by its name, as encoding/json finds
// it, and that no two names are one to encoding/json.
func readsAll(t *testing.T, object string) {
	t.Helper()
	c, err := provider.DecodeClaims([]byte(object))
	if err != nil {
		t.Fatalf("%q: %v", object, err)
	}
	folds := make(map[string]string)
	for name, value := range c {
		if got := member(object, name); got != string(value) {
			t.Fatalf("member %q of %q: got %q, want %q", name, object, got, value)
		}
		if other, ok := folds[folded(name)]; ok {
			t.Fatalf("%q has %q and %q", object, name, other)
		}
		folds[folded(name)] = name
	}
	for _, name := range []string{"", "a", "no such name"} {
		if _, ok := c[name]; !ok && member(object, name) != "" {
			t.Fatalf("member %q of %q: got %q", name, object, member(object, name))
		}
	}
}

// The scanner reads what encoding/json reads, whatever stands in an object.
func FuzzMember(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"":{"a":[1,{"b":"}"}]},"a" : "\\\""	,"b":[]}`, `{"\u0061":null,"b":"a\":1"}`, `{"\ud800":1,"é":2}`,
		`{"a":"b"}`, `{"a":["b","a\u0062","\\","\"",""]}`, `{"a": [ "b" , "c" ] }`, `{"a":[]}`, `{"a":[ ]}`, `{"a":["b",null]}`, `{"a":[["b"]],"b":["a",{"b":"c"}]}`,
	} {
		f.Add([]byte(seed), "a")
	}
	f.Fuzz(func(t *testing.T, payload []byte, name string) {
		if _, err := provider.DecodeClaims(payload); err != nil {
			return // no object, or one with a member twice
		}
		var c map[string]json.RawMessage
		if err := json.Unmarshal(payload, &c); err != nil {
			t.Fatal(err)
		}
		for name, value := range c {
			if got := member(string(payload), name); got != string(value) {
				t.Fatalf("member %q of %q: got %q, want %q", name, payload, got, value)
			}
		}
		u := &User{claims: &sessionClaims{object: string(payload)}}
		for name, value := range c {
			for _, text := range append(textsIn(value), "", "a") {
				if got, want := u.Has(name, text), slices.Contains(textsIn(value), text); got != want {
					t.Fatalf("%q has %q in %q: got %v, want %v", payload, text, name, got, want)
				}
			}
		}
		if got := member(string(payload), name); got != string(c[name]) {
			t.Fatalf("member %q of %q: got %q, want %q", name, payload, got, c[name])
		}
	})
}

// textsIn returns a string, or the elements of a list of strings, by encoding/json. It
// returns nil for other values.
func textsIn(value []byte) []string {
	var elements []any
	if json.Unmarshal(value, &elements) != nil {
		elements = make([]any, 1)
		if json.Unmarshal(value, &elements[0]) != nil {
			return nil
		}
	}
	var texts []string
	for _, element := range elements {
		text, ok := element.(string)
		if !ok {
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

// What is kept of claims is theirs, and no two names are one to encoding/json.
func FuzzKeptClaims(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"a":2}`, `{"aud":["a"],"exp":1e300}`, `[`, `{"\ud800":"x"}`, `{"roles":1,"ROLES":2,"roleſ":3}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := provider.DecodeClaims(payload)
		if err != nil {
			return
		}
		userOf(c, "i", "s")
		kept, err := keptClaims(c, nil)
		if err != nil {
			t.Fatalf("%q cannot be encoded: %v", payload, err)
		}
		if kept != nil {
			readsAll(t, kept.object)
			if _, err := provider.DecodeClaims([]byte(kept.object)); err != nil {
				t.Fatalf("%q is kept as %q: %v", payload, kept.object, err)
			}
		}
	})
}
