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

// Claims is a JSON object with undecoded members. Names are compared exactly, unlike in
// encoding/json with a struct. So two readers of one token always read the same claim.
type Claims map[string]json.RawMessage

// DecodeClaims decodes a JSON object. It returns an error for a member that occurs
// twice, and for data after the object (RFC 8725 section 2.4). It drops members that are
// null.
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

// countMembers returns the number of members of a valid JSON object. It counts the
// colons outside of strings and nested values.
func countMembers(object []byte) int {
	count, depth, quoted := 0, 0, false
	for i := 0; i < len(object); i++ {
		switch c := object[i]; {
		case quoted && c == '\\':
			i++ // skip the escaped character
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
		return string(raw[1 : len(raw)-1]), true // the usual case: nothing to decode
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// date returns a NumericDate claim (RFC 7519 section 2). It must be a number whose
// integer part a float64 represents exactly.
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

// seconds returns a claim that is a number of seconds.
func (c Claims) seconds(name string) (time.Duration, bool) {
	const most = 1 << 31
	t, ok := c.date(name)
	return time.Duration(min(t.Unix(), most)) * time.Second, ok
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

// add adds the claims of more that c lacks. email_verified and phone_number_verified
// always come from the same source as the address or number.
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
