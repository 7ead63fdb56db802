package devprovider

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/logintest"
)

// A mistake is in a list of users, or in what was typed in the form.
type mistake struct {
	line int    // zero: unknown
	who  string // empty: the only user
	name string // of the claim; empty: none
	why  string
}

func (m *mistake) Error() string {
	var where []string
	if m.line > 0 {
		where = append(where, fmt.Sprintf("line %d", m.line))
	}
	if m.who != "" {
		where = append(where, m.who)
	}
	if m.name != "" {
		where = append(where, fmt.Sprintf("claim %q", m.name))
	}
	return strings.Join(append(where, m.why), ": ")
}

// ParseUsers reads a JSON array with one object for each user. The object's
// members are the user's claims. An error names the line and the claim.
func ParseUsers(source []byte) (users []logintest.User, err error) {
	d, err := newDecoder(source)
	if err != nil {
		return nil, err
	}
	if token, _ := d.Token(); token != json.Delim('[') {
		return nil, &mistake{line: d.line(), why: "must be an array of users: [{\"email\": \"ada@example.test\"}]"}
	}
	numbers := make(map[string]int) // of users, by subject
	for d.More() {
		number := len(users) + 1
		who := fmt.Sprintf("user %d", number)
		claims, lines, err := d.object()
		if err != nil {
			err.who = who
			return nil, err
		}
		user, wrong := newUser(claims)
		if wrong == nil && numbers[user.Subject] != 0 {
			wrong = &mistake{name: "sub", why: fmt.Sprintf("is the same as that of user %d", numbers[user.Subject])}
		}
		if wrong != nil {
			wrong.who, wrong.line = who, d.line()
			if line, ok := lines[wrong.name]; ok {
				wrong.line = line
			}
			return nil, wrong
		}
		numbers[user.Subject] = number
		users = append(users, user)
	}
	return users, nil
}

// parseClaims reads one JSON object.
func parseClaims(source []byte) (map[string]any, error) {
	d, err := newDecoder(source)
	if err != nil {
		return nil, err
	}
	claims, _, wrong := d.object()
	if wrong != nil {
		return nil, wrong
	}
	return claims, nil
}

// A decoder knows the line of each claim.
type decoder struct {
	*json.Decoder
	source []byte
}

// newDecoder returns an error if source is not JSON.
func newDecoder(source []byte) (*decoder, error) {
	source = bytes.TrimPrefix(source, []byte("\xef\xbb\xbf")) // the mark that some editors of Windows write
	var ignored any
	if err := json.Unmarshal(source, &ignored); err != nil {
		wrong := &mistake{why: "not JSON: " + err.Error()}
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			wrong.line = lineAt(source, syntax.Offset)
		}
		return nil, wrong
	}
	d := &decoder{Decoder: json.NewDecoder(bytes.NewReader(source)), source: source}
	d.UseNumber() // and send numbers as they are written
	return d, nil
}

// line returns the line of the last token.
func (d *decoder) line() int { return lineAt(d.source, d.InputOffset()) }

func lineAt(source []byte, offset int64) int {
	return 1 + bytes.Count(source[:min(offset, int64(len(source)))], []byte("\n"))
}

// object reads an object, with the line of each member.
func (d *decoder) object() (claims map[string]any, lines map[string]int, wrong *mistake) {
	claims, lines = make(map[string]any), make(map[string]int)
	if token, _ := d.Token(); token != json.Delim('{') {
		return nil, nil, &mistake{line: d.line(), why: "must be an object of claims: {\"email\": \"ada@example.test\"}"}
	}
	for d.More() {
		token, _ := d.Token() // newDecoder has checked the syntax
		name, _ := token.(string)
		if _, twice := claims[name]; twice {
			return nil, nil, &mistake{line: d.line(), name: name, why: "occurs twice"}
		}
		lines[name] = d.line()
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, nil, &mistake{line: lines[name], name: name, why: err.Error()}
		}
		claims[name] = value
	}
	_, _ = d.Token()
	return claims, lines, nil
}

// ours are the claims that the provider sets itself.
var ours = []string{"iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "auth_time", "sid"}

// texts are the standard claims that are strings (OpenID Connect Core section
// 5.1), and flags those that are booleans.
var (
	texts = []string{
		"sub", "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
		"email", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
	}
	flags = []string{"email_verified", "phone_number_verified"}
)

// newUser makes a user from claims. Without sub, the e-mail address decides who
// it is. An address counts as verified, unless email_verified is false.
func newUser(claims map[string]any) (logintest.User, *mistake) {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if why := checkClaim(name, claims[name]); why != "" {
			return logintest.User{}, &mistake{name: name, why: why}
		}
	}
	user := logintest.User{Claims: maps.Clone(claims)}
	user.ACR, _ = acrOf(claims["acr"])
	user.Subject, _ = claims["sub"].(string)
	delete(user.Claims, "acr")
	delete(user.Claims, "sub")
	email, _ := claims["email"].(string)
	if user.Subject == "" {
		if email == "" {
			return logintest.User{}, &mistake{why: "a user needs the claim \"email\" or \"sub\""}
		}
		sum := sha256.Sum256([]byte(strings.ToLower(email)))
		user.Subject = "dev-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
	}
	if email != "" {
		local, _, _ := strings.Cut(email, "@")
		setDefault(user.Claims, "name", local)
		setDefault(user.Claims, "email_verified", true)
	}
	return user, nil
}

func setDefault(claims map[string]any, name string, value any) {
	if _, ok := claims[name]; !ok {
		claims[name] = value
	}
}

// checkClaim says what is wrong with a claim, or "".
func checkClaim(name string, value any) string {
	text, isText := value.(string)
	_, isFlag := value.(bool)
	switch {
	case slices.Contains(ours, name):
		return "is set by the provider; remove it"
	case slices.Contains(texts, name) && (!isText || text == ""):
		return "must be a string that is not empty"
	case name == "sub" && (len(text) > 255 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })):
		return "must be at most 255 characters of ASCII" // OpenID Connect Core section 2
	case slices.Contains(flags, name) && !isFlag:
		return "must be true or false"
	case name == "acr":
		if _, ok := acrOf(value); !ok {
			return "must be a string, or an array of strings of which the first is the usual one"
		}
	}
	return ""
}

// acrOf returns the classes of a claim acr. A missing claim has none.
func acrOf(value any) (classes []string, ok bool) {
	switch value := value.(type) {
	case nil:
		return nil, true
	case string:
		return []string{value}, value != "" && !strings.Contains(value, " ")
	case []any:
		for _, one := range value {
			class, ok := one.(string)
			if !ok || class == "" || strings.Contains(class, " ") {
				return nil, false
			}
			classes = append(classes, class)
		}
		return classes, len(classes) > 0
	}
	return nil, false
}
