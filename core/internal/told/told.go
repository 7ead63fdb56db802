package told

import (
	"strings"
	"unicode/utf8"
)

const (
	// Max is how many bytes of one text from outside a log line may have.
	Max = 500

	minSecret = 8 // bytes of a secret that can be hidden in a text
)

// Redact returns the beginning of a text from outside, without secrets: neither
// as they are nor percent-encoded. The text is cut first and read once, so that
// the cost is bounded by Max, and what replaces a secret is not read again.
//
// A secret of less than minSecret bytes stays: a text that lacks each "a" shows
// what the secret is, and helps nobody.
func Redact(text string, secrets ...string) string {
	told := cut(text, Max)
	var out strings.Builder
	for at := 0; at < len(told); {
		hidden := 0
		for _, secret := range secrets {
			hidden = max(hidden, spells(told[at:], secret))
		}
		if hidden > 0 {
			out.WriteString("[redacted]")
			at += hidden
			continue
		}
		out.WriteByte(told[at])
		at++
	}
	if len(told) < len(text) {
		out.WriteString("…")
	}
	return out.String()
}

// cut returns the beginning of text, at most so many bytes of it, and no part of a
// character at its end.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for end > most-utf8.UTFMax && end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// spells returns how many bytes at the beginning of text are secret. A secret that
// is longer than text counts if text has minSecret bytes of it.
func spells(text, secret string) int {
	if len(secret) < minSecret {
		return 0
	}
	plain := 0
	for plain < min(len(text), len(secret)) && text[plain] == secret[plain] {
		plain++
	}
	if plain == len(secret) || plain == len(text) && plain >= minSecret {
		return plain
	}
	at, matched := 0, 0
	for at < len(text) && matched < len(secret) {
		c, n := unescapeByte(text[at:])
		if n > 0 && c != secret[matched] && (text[at] != '+' || secret[matched] != ' ') {
			return 0
		}
		if n == 0 { // an escape that is cut off
			at = len(text)
			break
		}
		at += n
		matched++
	}
	if matched == len(secret) || at == len(text) && matched >= minSecret {
		return at
	}
	return 0
}

// unescapeByte reads one byte of a percent-encoded text, and says how many bytes
// stand for it: none if an escape is cut off.
func unescapeByte(text string) (c byte, n int) {
	switch {
	case text[0] != '%':
		return text[0], 1
	case len(text) < 3:
		return 0, 0
	}
	high, ok := unhex(text[1])
	low, ok2 := unhex(text[2])
	if !ok || !ok2 {
		return '%', 1
	}
	return high<<4 | low, 3
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// Clip bounds a text from outside before it goes to a log.
func Clip(s string) string { return ClipTo(s, 200) }

// ClipTo is clip to so many bytes. The remedy that a provider gives comes last in its
// description, which needs more.
func ClipTo(s string, most int) string {
	if len(s) > most {
		return cut(s, most) + "…"
	}
	return s
}
