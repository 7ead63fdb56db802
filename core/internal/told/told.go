package told

import (
	"strings"
	"unicode/utf8"
)

const (
	// Max is the most bytes of one text from outside in a log line.
	Max = 500

	minSecret = 8 // bytes; shorter secrets are not redacted
)

// Redact returns the first Max bytes of text, with each secret replaced. It finds
// secrets as they are and percent-encoded. It cuts the text first and reads it once, so
// Max bounds the cost, and the replacement of a secret is not read again.
//
// Redact does not replace secrets of less than minSecret bytes. If it replaced each "a",
// the gaps would reveal the secret, and the text would be useless.
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

// cut returns the first most bytes of text, or fewer, so that no character is split.
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

// spells returns how many bytes at the beginning of text are the secret, or 0. If text
// ends within the secret, the part counts if it has at least minSecret bytes.
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
		if n == 0 { // the text ends within an escape
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

// unescapeByte decodes the first byte of a percent-encoded text. n is the number of
// bytes that encode it, or 0 if the text ends within an escape.
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

// Clip returns at most the first 200 bytes of a text from outside, for a log.
func Clip(s string) string { return ClipTo(s, 200) }

// ClipTo is like [Clip] with another limit. A provider's description needs more than
// 200 bytes, because the remedy comes last.
func ClipTo(s string, most int) string {
	if len(s) > most {
		return cut(s, most) + "…"
	}
	return s
}
