package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// Claims is a JSON object whose members nobody has interpreted yet. Unlike what
// encoding/json makes of a struct, names are matched to the letter, so that two
// readers of one token cannot see two different things.
type Claims map[string]json.RawMessage

// DecodeClaims refuses what RFC 8725 section 2.4 warns of: doubled members and
// anything after the object. A member that is null says nothing, and is left out.
func DecodeClaims(payload []byte) (Claims, error) {
	var c Claims
	if err := json.Unmarshal(payload, &c); err != nil || c == nil {
		return nil, errors.New("not a JSON object")
	}
	if len(c) != countMembers(payload) {
		return nil, errors.New("a member occurs twice")
	}
	dropNulls(c)
	return c, nil
}

func dropNulls(c Claims) {
	for name, value := range c {
		if string(value) == "null" {
			delete(c, name)
		}
	}
}

// countMembers counts the members of a JSON object that is known to be valid:
// the colons that are neither in a string nor in a value.
func countMembers(object []byte) int {
	count, depth, quoted := 0, 0, false
	for i := 0; i < len(object); i++ {
		switch c := object[i]; {
		case quoted && c == '\\':
			i++ // whatever is escaped
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ':' && depth == 1:
			count++
		}
	}
	return count
}

// Text returns a string claim, and whether it is there and is a string.
func (c Claims) Text(name string) (string, bool) {
	raw := c[name]
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), true // as nearly all are
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// date returns a NumericDate claim (RFC 7519 section 2): a number, and one that
// a float64 holds exactly.
func (c Claims) date(name string) (time.Time, bool) {
	raw := c[name]
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.Abs(seconds) > 1<<53 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// audience returns aud, which is a string or an array of strings.
func (c Claims) audience() []string {
	if one, ok := c.Text("aud"); ok {
		return []string{one}
	}
	var many []string
	if json.Unmarshal(c["aud"], &many) != nil {
		return nil
	}
	return many
}

// add puts in the claims of more that c lacks. Whether an address or a number
// is verified is said by whoever gave it, and by nobody else.
func (c Claims) add(more Claims) {
	for _, pair := range [...][2]string{{"email", "email_verified"}, {"phone_number", "phone_number_verified"}} {
		switch value, verified := pair[0], pair[1]; {
		case c[value] != nil:
			delete(more, verified)
		case more[value] != nil:
			delete(c, verified)
		}
	}
	for name, value := range more {
		if c[name] == nil {
			c[name] = value
		}
	}
}
