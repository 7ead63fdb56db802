package core

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Claim decodes the value of one claim into v, like [json.Unmarshal]. The name is
// compared exactly: Claim("roles", …) never reads a claim "Roles". If the session
// kept no such claim (see [SessionConfig.Claims]), v stays as it is and the error is
// nil, so pass a zero value. The error tells that the value does not fit v.
//
// Inside the value, encoding/json takes members whose names differ in case for one
// field of a struct. Decode an object into a map where that matters.
func (u *User) Claim(name string, v any) error {
	value, err := u.claims.member(name)
	if err != nil || value == "" {
		return err
	}
	if err := json.Unmarshal([]byte(value), v); err != nil {
		return fmt.Errorf("pixy: claim %s: %w", name, err)
	}
	return nil
}

// Has reports whether a claim is value, or a list of strings that holds value.
// Name and value are compared exactly. It is false for claims of other types and
// for lists with other elements than strings.
func (u *User) Has(claim, value string) bool {
	raw, err := u.claims.member(claim)
	if err != nil || raw == "" {
		return false
	}
	if raw[0] == '"' {
		raw = "[" + raw + "]"
	}
	var texts []*string // null would be an empty string otherwise
	if json.Unmarshal([]byte(raw), &texts) != nil || slices.Contains(texts, nil) {
		return false
	}
	return slices.ContainsFunc(texts, func(text *string) bool { return *text == value })
}

// member returns the value of one claim as JSON, or "" if there is no such claim.
func (c *sessionClaims) member(name string) (string, error) {
	object, err := c.open()
	return member(object, name), err
}

// member returns the value of a member of a valid JSON object, or "". The name is
// compared exactly, after its escapes. Nothing else of the object is decoded.
func member(object, name string) string {
	_, rest, _ := strings.Cut(object, "{")
	for {
		var key, value string
		key, rest = cutElement(rest)
		value, rest = cutElement(rest)
		if key == "" {
			return ""
		}
		if isNamed(key, name) {
			return value
		}
	}
}

// cutElement cuts what stands before the next separator of valid JSON: a name
// before its colon, or a value before a comma or the end of its object.
func cutElement(s string) (element, rest string) {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++ // whatever is escaped
		case c == '"':
			quoted = !quoted
		case quoted:
		case depth == 0 && (c == ':' || c == ',' || c == '}'):
			return trimJSON(s[:i]), s[i+1:]
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return "", ""
}

func trimJSON(s string) string { return strings.Trim(s, " \t\r\n") }

// isNamed reports whether key, a JSON string, stands for name.
func isNamed(key, name string) bool {
	if !strings.Contains(key, `\`) && utf8.ValidString(key) {
		return key[1:len(key)-1] == name // as nearly all are
	}
	var decoded string
	return json.Unmarshal([]byte(key), &decoded) == nil && decoded == name
}
