package logintest

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Attacks on the verifier (RFC 7636, RFC 9700 section 2.1.1).
var pkceAttacks = []attack{
	{"PKCE",
		"generate a code_verifier for each login, send its S256 code_challenge with the login, and send the code_verifier with the code (RFC 7636)",
		pkce},
	{"secrets within reach of the browser",
		"keep verifiers, tokens and its client secret on the server, or encrypt them in cookies",
		secretsReadable},
}

// pkce checks the requests that reached the provider.
func pkce(s *siege) {
	seen := make(map[string]bool)
	for range 3 {
		l := s.begin(s.newBrowser(), s.ada)
		challenge := l.request.Get("code_challenge")
		switch method := l.request.Get("code_challenge_method"); {
		case challenge == "":
			found("the authorization request had no code_challenge")
		case method != "S256":
			found("the code_challenge_method was %q, not S256", method)
		case seen[challenge]:
			found("two logins had the same code_challenge")
		}
		seen[challenge] = true
		form, _ := s.redeem(l)
		if why := checkVerifier(challenge, form.Get("code_verifier")); why != nil {
			found("in the token request, the %s", why.description)
		}
	}
}

// redeem finishes a login, and returns its token request and its hops.
func (s *siege) redeem(l *login) (url.Values, []Hop) {
	s.provider.forget()
	hops := s.finish(l)
	for _, request := range s.provider.Requests() {
		if request.Endpoint == Token {
			return request.Form, hops
		}
	}
	found("a callback with a valid code led to no token request")
	return nil, nil
}

// secretsReadable searches everything that a browser receives during a login.
func secretsReadable(s *siege) {
	var access string
	s.misbehave(Faults{Token: func(response map[string]any) { access, _ = response["access_token"].(string) }})
	l := s.begin(s.newBrowser(), s.ada)
	form, hops := s.redeem(l)
	hops = append(append(l.hops, hops...), s.private(l.browser).Hops...)
	hops = append(hops, s.logOut(l.browser).Hop)
	for _, hop := range hops {
		s.searchHop(hop, "code_verifier", form.Get("code_verifier"))
		s.searchHop(hop, "access token", access)
		if len(s.target.ClientSecret) >= 12 { // a shorter one may be a word on a page
			s.searchHop(hop, "client secret", s.target.ClientSecret)
		}
	}
}

func (s *siege) searchHop(hop Hop, what, secret string) {
	if secret == "" {
		return
	}
	for _, cookie := range (&http.Response{Header: hop.Header}).Cookies() {
		if reveals(cookie.Value, secret, 3) {
			found("the %s could be read in cookie %s", what, cookie.Name)
		}
	}
	switch {
	case reveals(hop.URL, secret, 2), reveals(hop.Header.Get("Location"), secret, 2):
		found("the %s could be read in a URL", what)
	case what != "access token" && reveals(string(hop.Body), secret, 1): // a page may need the token
		found("the %s could be read in a page", what)
	}
}

var encodedWord = regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}`)

// reveals reports whether text contains a secret, either as it is or in at most
// layers of encodings that need no key.
func reveals(text, secret string, layers int) bool {
	if strings.Contains(text, secret) {
		return true
	}
	if layers == 0 {
		return false
	}
	if plain, err := url.QueryUnescape(text); err == nil && plain != text && reveals(plain, secret, layers-1) {
		return true
	}
	for _, word := range encodedWord.FindAllString(text, -1) {
		standard := strings.NewReplacer("-", "+", "_", "/").Replace(word)
		for _, decode := range []func(string) ([]byte, error){base64.RawStdEncoding.DecodeString, hex.DecodeString} {
			if plain, err := decode(standard); err == nil && reveals(string(plain), secret, layers-1) {
				return true
			}
		}
	}
	return false
}
