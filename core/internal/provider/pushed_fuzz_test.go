package provider

import (
	"strings"
	"testing"
)

// Whatever a provider answers to a pushed request, the reference that goes into the
// browser's URL is short, and text that a URI can have.
func FuzzReadPushed(f *testing.F) {
	for _, body := range []string{
		`{"request_uri":"urn:ietf:params:oauth:request_uri:x","expires_in":60}`, `{"request_uri":"x"}`, `{"request_uri":"\u0000","expires_in":1}`,
		`{"request_uri":["x"]}`, `{"request_uri":"x","expires_in":-1}`, `{"request_uri":"x","expires_in":1e999}`, `[]`, "", "request_uri=x",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		reference, err := readPushed(body)
		if (err == nil) != (reference != "") {
			t.Fatalf("%q and %v", reference, err)
		}
		if len(reference) > maxRequestURI || strings.ContainsFunc(reference, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Fatalf("%q", reference)
		}
	})
}
