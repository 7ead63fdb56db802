package seal

import (
	"strings"
	"testing"
)

// oddTokens are texts that look like base64url and are not, or only in part.
var oddTokens = []string{
	"", ".", "..", "a", "ab", "aB", "abcd", "AB\nCD", "\r\n", "abc=", "+/+/", "AAAA.B.CCCC", ".AAAA", "AAAA.", "0123456789abcdef0", "ä.ö", "\x00",
}

func TestTokensComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, token := range oddTokens {
		if got, rest, ok := CutToken(string(AppendToken(nil, token)) + "rest"); got != token || rest != "rest" || !ok {
			t.Errorf("%q: got %q, %q, %v", token, got, rest, ok)
		}
	}
}

func TestBase64TokensTakeAQuarterLess(t *testing.T) {
	t.Parallel()
	for token, most := range map[string]int{
		strings.Repeat("Ab_-", 250) + "." + strings.Repeat("Ab_-", 250) + "." + strings.Repeat("Ab_-", 100): 1810, // 2402: a JWT
		strings.Repeat("Ab_-", 250): 755,
		strings.Repeat("Ab+/", 250): 1004,
	} {
		if got := len(AppendToken(nil, token)); got > most {
			t.Errorf("%.9s…, %d bytes: got %d, want %d at most", token, len(token), got, most)
		}
	}
}

func TestRecordsThatAreCutOffAreNone(t *testing.T) {
	t.Parallel()
	whole := string(AppendToken(nil, strings.Repeat("Ab_-", 100)+".+."))
	for i := range whole {
		if token, rest, ok := CutToken(whole[:i]); ok || token != "" || rest != "" {
			t.Errorf("%d bytes of %d are %q and %q, %v", i, len(whole), token, rest, ok)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, token := range oddTokens {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if got, rest, ok := CutToken(string(AppendToken(nil, token))); got != token || rest != "" || !ok {
			t.Fatalf("%q comes back as %q, %q, %v", token, got, rest, ok)
		}
		CutToken(token) // must not panic
	})
}
