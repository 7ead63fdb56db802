package page

import (
	"cmp"
	"html"
	"strings"
)

// A Language translates sentences.
type Language struct {
	Tag   string // as in the attribute lang (RFC 5646)
	texts map[string]string
}

// English is the language of the sentences themselves.
var English = Language{Tag: "en"}

// NewLanguage returns a language with translations by English sentence. It returns English
// if there are none, or if tag is not a language tag.
func NewLanguage(tag string, texts map[string]string) Language {
	if len(texts) == 0 || !isTag(tag) {
		return English
	}
	return Language{tag, texts}
}

// Say returns a sentence in the language, or as it is if it has no translation.
func (l Language) Say(sentence string) string { return cmp.Or(l.texts[sentence], sentence) }

// HTML is like Say, and escapes the result.
func (l Language) HTML(sentence string) string { return html.EscapeString(l.Say(sentence)) }

// isTag reports whether s has the form of a language tag, such as de or zh-Hant-TW.
func isTag(s string) bool {
	const longest = 35 // RFC 5646 section 4.4.1
	for i, part := range strings.Split(s, "-") {
		if len(part) == 0 || len(part) > 8 || i == 0 && strings.ContainsAny(part, "0123456789") ||
			strings.ContainsFunc(part, func(c rune) bool {
				return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9')
			}) {
			return false
		}
	}
	return len(s) <= longest
}
