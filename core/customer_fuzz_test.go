package core

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// What was typed is one printable line of limited length, or nothing. Reading it again
// changes nothing.
func FuzzTyped(f *testing.F) {
	for _, seed := range []string{
		"", " ", "ada@acme.example.test", " Acme\t Corp \r\n", "\ufeffada@acme.example.test\u200b", "a\u202eb", "a\x00b", "\xff", "مثال", "a\u00a0b",
		strings.Repeat("a", maxTyped), strings.Repeat("a", maxTyped+1), strings.Repeat(" ", 64) + "a", strings.Repeat("é", 128), "a\u2028b", "a@b@c", "a@", "@",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		typed, ok := readTyped([]string{given})
		if !ok {
			if typed != "" || isAddress(typed) {
				t.Fatalf("%q is invalid, and read as %q", given, typed)
			}
			return
		}
		if len(typed) > maxTyped || !utf8.ValidString(typed) || strings.TrimSpace(typed) != typed || strings.Contains(typed, "  ") {
			t.Fatalf("%q is read as %q", given, typed)
		}
		for _, c := range typed {
			if !unicode.IsPrint(c) {
				t.Fatalf("%q is read as %q", given, typed)
			}
		}
		if again, ok := readTyped([]string{typed}); !ok || again != typed {
			t.Fatalf("%q is read as %q, and then as %q", given, typed, again)
		}
		if isAddress(typed) && (strings.Count(typed, "@") != 1 || strings.ContainsAny(typed, " <>,;\r\n")) {
			t.Fatalf("%q is an address", typed)
		}
		if strings.ContainsFunc(given, func(c rune) bool { return unicode.IsPrint(c) && c != ' ' }) != (typed != "") {
			t.Fatalf("%q is read as %q", given, typed)
		}
	})
}
