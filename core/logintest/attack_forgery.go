package logintest

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
)

// Attacks on the values of the session's cookies.
var forgeryAttacks = []attack{
	{"cookie altered",
		"authenticate each cookie's value, for example with AES-GCM or HMAC, and reject altered ones",
		cookieAltered},
	{"cookies of two sessions",
		"seal the cookies of a session as a whole, so that a cookie of another session does not fit",
		sessionsMixed},
	{"parts and counts of cookies forged",
		"limit the number of a session's cookies before it reads them, and treat a request with invalid ones as anonymous",
		partsForged},
}

func cookieAltered(s *siege) {
	for _, set := range s.carriers(s.cookiesOf(s.ada)) {
		for _, c := range set {
			for _, forged := range alterations(c.Value) {
				if who := s.visitorWith(replaced(set, c.Name, forged)); who != nobody {
					found("cookie %s, altered, still let %s in", c.Name, who)
				}
			}
		}
	}
}

// alterations changes single characters, and shortens and lengthens the value.
// It does not change the last few characters, because encodings may ignore bits
// there.
func alterations(value string) []string {
	const changes, tail = 24, 4
	if value == "" {
		return []string{"A"}
	}
	altered := []string{value[:len(value)/2], value + "AAAA", "AAAA" + value}
	step := max(1, len(value)/changes)
	for i := 0; i < len(value)-tail; i += step {
		altered = append(altered, value[:i]+string(neighbour(value[i]))+value[i+1:])
	}
	return altered
}

// neighbour returns another character of the same kind. It differs in more than
// case, and decodes to another value.
func neighbour(c byte) byte {
	switch {
	case c == 'a' || c == 'A' || c == '0':
		return c + 1
	case 'b' <= c && c <= 'z', 'B' <= c && c <= 'Z', '1' <= c && c <= '9':
		return c - 1
	}
	return 'A'
}

// sessionsMixed exchanges single cookies between two sessions. Large claims may
// need several cookies. An application that rejects large claims is not
// attacked with them.
func sessionsMixed(s *siege) {
	for _, length := range []int{0, 4000} {
		one, two := s.newBrowser(), s.newBrowser()
		s.finish(s.begin(one, withGroups(s.ada, length)))
		s.finish(s.begin(two, withGroups(s.mallory, length)))
		theirs := two.Cookies(s.at(s.target.Private, nil))
		for _, set := range s.carriers(one.Cookies(s.at(s.target.Private, nil))) {
			for _, c := range theirs {
				if len(set) < 2 || !hasName(set, c.Name) {
					continue
				}
				if who := s.visitorWith(replaced(set, c.Name, c.Value)); who != nobody {
					found("cookie %s of Mallory's session, among those of Ada's, let %s in", c.Name, who)
				}
			}
		}
	}
}

// withGroups adds a claim of this length that cannot be compressed.
func withGroups(user User, length int) User {
	var groups strings.Builder
	for groups.Len() < length {
		groups.WriteString(rand.Text())
	}
	claims := map[string]any{"groups": groups.String()}
	for name, value := range user.Claims {
		claims[name] = value
	}
	return User{Subject: user.Subject, Claims: claims}
}

// partsForged adds cookies that look like parts of the session or like their
// number. It also changes a number at the start of the session's cookie.
func partsForged(s *siege) {
	for _, set := range s.carriers(s.cookiesOf(s.ada)) {
		for _, c := range set {
			for _, suffix := range []string{"-1", "-2", "-3", "-9", ".0", ".1", "_0", "_1", "1", "2"} {
				part := &http.Cookie{Name: c.Name + suffix, Value: strings.Repeat("A", 3000)}
				s.tryParts(append(slices.Clone(set), part), called(s.ada))
				s.tryParts([]*http.Cookie{part}, nobody)
			}
			for _, suffix := range []string{"-chunks", "_chunks", ".chunks", "-count", "_count", "-parts"} {
				for _, count := range []string{"-1", "0", "2", "99999999999", "x", ""} {
					s.tryParts(append(slices.Clone(set), &http.Cookie{Name: c.Name + suffix, Value: count}), called(s.ada))
				}
			}
			for count := '0'; count <= '9' && c.Value != ""; count++ {
				if forged := string(count) + c.Value[1:]; forged != c.Value {
					s.tryParts(replaced(set, c.Name, forged), nobody)
				}
			}
		}
	}
}

func (s *siege) tryParts(cookies []*http.Cookie, may string) {
	if who := s.visitorWith(cookies); who != nobody && who != may {
		found("a session with forged parts let %s in", who)
	}
}
