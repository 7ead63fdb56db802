package told

import (
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	const secret, other = "canary+secret/1=", "canary-other"
	long := strings.Repeat("a", 450)
	for _, test := range []struct {
		name, text string
		secrets    []string
		want       string
	}{
		{"nothing to hide", "the code has expired", []string{secret}, "the code has expired"},
		{"as it is", "no " + secret + "!", []string{secret}, "no [redacted]!"},
		{"all there is", secret, []string{secret}, "[redacted]"},
		{"two, one after another", secret + other, []string{other, secret}, "[redacted][redacted]"},
		{"as a form spells it", "no " + url.QueryEscape(secret) + "!", []string{secret}, "no [redacted]!"},
		{"as a path spells it", "no " + url.PathEscape("canary of 1%") + "!", []string{"canary of 1%"}, "no [redacted]!"},
		{"with a plus for a blank", "no canary+of+blanks!", []string{"canary of blanks"}, "no [redacted]!"},
		{"in small letters", "no canary%2bsecret%2f1%3d!", []string{secret}, "no [redacted]!"},
		{"percent-encoded in parts", "no canary%2Bsecret/1%3D!", []string{secret}, "no [redacted]!"},
		{"a secret with a percent sign", "no canary%2Bsecret!", []string{"canary%2Bsecret"}, "no [redacted]!"},
		{"what only looks like an escape", "no canary%zz!", []string{"canary%zz"}, "no [redacted]!"},
		{"one within another", "no " + other + "-longer!", []string{other, other + "-longer"}, "no [redacted]!"},
		{"a secret that the replacement contains", "no redacted!", []string{"redacted", "[redacted]"}, "no [redacted]!"},
		{"what is too short to be one", "a bad request, a7 bytes", []string{"a", "a7 byte", ""}, "a bad request, a7 bytes"},
		{"eight bytes are one", "a12345678b", []string{"12345678"}, "a[redacted]b"},
		{"the text ends within it", "no canary+s", []string{secret}, "no [redacted]"},
		{"the text ends within an escape", "no canary%2Bs%6", []string{"canary+sesame"}, "no [redacted]"},
		{"the text ends within a word that begins alike", "no canary", []string{secret}, "no canary"},
		{"cut in the middle of it", long + strings.Repeat("b", 40) + secret, []string{secret}, long + strings.Repeat("b", 40) + "[redacted]…"},
		{"cut", strings.Repeat("c", 501), nil, strings.Repeat("c", 500) + "…"},
		{"not cut", strings.Repeat("c", 500), nil, strings.Repeat("c", 500)},
		{"cut, and a secret that is torn by what is no character", "no canary\xff-other" + strings.Repeat("c", 500), []string{other}, "no canary\xff-other" + strings.Repeat("c", 484) + "…"},
		{"cut within a character", strings.Repeat("c", 499) + "ä", nil, strings.Repeat("c", 499) + "…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := Redact(test.text, test.secrets...); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A megabyte from the provider with the most expensive secrets takes a fraction of a
// second and a few kilobytes.
func TestRedactIsBounded(t *testing.T) {
	const megabyte = 1 << 20
	for name, test := range map[string]struct {
		text    string
		secrets []string
	}{
		"a secret of one letter":            {strings.Repeat("e", megabyte), []string{"e", "d", "[", "r"}},
		"a secret in every place":           {strings.Repeat("canary12", megabyte/8), []string{"canary12", "[redacted]"}},
		"a secret that nearly is the text":  {strings.Repeat("a", megabyte), []string{strings.Repeat("a", megabyte/2) + "b", strings.Repeat("a", 499) + "b"}},
		"an escape for each of its letters": {strings.Repeat("%61", megabyte/3), []string{strings.Repeat("a", megabyte/2) + "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			bytes := allocated(func() {
				if got := Redact(test.text, test.secrets...); len(got) > 1000 {
					t.Errorf("%d bytes", len(got))
				}
			})
			if took := time.Since(begun); took > 10*time.Second || bytes > 16<<10 {
				t.Errorf("it took %s and %d bytes", took, bytes)
			}
		})
	}
}

// FuzzRedact checks that no secret remains in any text, plain or decoded.
func FuzzRedact(f *testing.F) {
	f.Add("no canary%2bsecret", "canary+secret", "[redacted]")
	f.Add(strings.Repeat("canary12", 99), "canary12", "12canary")
	f.Fuzz(func(t *testing.T, text, secret, other string) {
		got := Redact(text, secret, other)
		if limit := 2*Max + 100; len(got) > limit {
			t.Fatalf("%d bytes", len(got))
		}
		decoded, err := url.QueryUnescape(got)
		for _, s := range []string{secret, other} {
			if len(s) < minSecret || strings.Contains("[redacted]", s) || overlaps(s) {
				continue
			}
			if strings.Contains(got, s) || err == nil && strings.Contains(decoded, s) {
				t.Errorf("%q is in %q", s, got)
			}
		}
	})
}

// overlaps reports whether a secret contains a part of the replacement text, so that a
// replacement can complete it.
func overlaps(secret string) bool { return strings.ContainsAny(secret, "[]…") }

// allocated returns how many bytes f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
