package provider

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxToken is the limit for an access token and for a refresh token, in bytes. Tokens
// may be kept in memory, and each request to an API sends the access token.
const maxToken = 64 << 10

// A tokenResponse is a successful response of the token endpoint (RFC 6749 section 5.1,
// OpenID Connect Core section 3.1.3.3).
type tokenResponse struct {
	access, refresh, idToken string
	kind                     string        // token_type
	key                      *ProofKey     // to which the tokens are bound; nil: bearer tokens
	lifetime                 time.Duration // of the access token; not positive: unknown
	details                  string        // authorization_details (RFC 9396 section 7)
}

// exchange makes the token request of RFC 6749 section 4.1.3 and RFC 7636 section 4.5.
// It uses the code once, with the verifier, and with the DPoP key of the login.
func (g *codeGrant) exchange(ctx context.Context, m *metadata, code string, a Request) (*tokenResponse, error) {
	return g.requestToken(ctx, m, g.bindingKey(a.Key), url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {g.redirectURL(a)}, "code_verifier": {a.Verifier},
	}, code, a.Verifier)
}

// refreshToken makes the token request of RFC 6749 section 6. It sends no scope, which
// means the scope of the login. If the response has no new refresh token, the result has
// the old one. The refresh token of a public client works with its DPoP key only.
func (g *codeGrant) refreshToken(ctx context.Context, m *metadata, held *Tokens) (*tokenResponse, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}
	token, err := g.requestToken(ctx, m, g.bindingKey(held.Key), form, held.Refresh)
	if refused := new(Error); errors.As(err, &refused) && refused.Code == CodeGrantRefused {
		return nil, &Error{CodeRefreshRefused, refused.Err}
	}
	if err == nil && token.refresh == "" {
		token.refresh = held.Refresh
	}
	return token, err
}

// requestToken makes a token request. The tokens are bound to key, if it is not nil. secrets
// are those in form.
func (g *codeGrant) requestToken(ctx context.Context, m *metadata, key *ProofKey, form url.Values, secrets ...string) (*tokenResponse, error) {
	reply, err := g.post(ctx, m, clientRequest{endpoint: "token endpoint", url: m.TokenEndpoint, form: form, key: key, secrets: secrets})
	if err != nil {
		return nil, err
	}
	token, ok := readTokenResponse(reply.body, g.config.Now())
	if !ok || reply.status/100 != 2 || token.access == "" {
		return nil, reply.refusal()
	}
	if want := key.tokenType(); !strings.EqualFold(token.kind, want) { // RFC 6749 section 7.1
		return nil, bad(CodeTokenResponse, "token_type is %q, not %s", reply.redact(token.kind, token.access, token.refresh, token.idToken), want)
	}
	token.key = key
	if n := max(len(token.access), len(token.refresh)); n > maxToken {
		return nil, bad(CodeTokenResponse, "access_token or refresh_token has %d bytes, which is more than %d", n, maxToken)
	}
	if _, err := detailTypes(cmp.Or(token.details, "[]")); err != nil { // the application relies on them
		return nil, bad(CodeTokenResponse, "authorization_details %w", err)
	}
	return token, nil
}

// readTokenResponse reads the body of a response, whatever its Content-Type, which some
// providers set wrong: a JSON object or a form. It returns false for anything else, and
// for a response that reports an error, which some providers send with status 200.
func readTokenResponse(body []byte, now time.Time) (*tokenResponse, bool) {
	c, ok := members(body)
	if !ok || c["error"] != nil {
		return nil, false
	}
	t := new(tokenResponse)
	t.access, _ = c.Text("access_token")
	t.refresh, _ = c.Text("refresh_token")
	t.idToken, _ = c.Text("id_token")
	t.kind, _ = c.Text("token_type")
	t.details = string(c[detailsParam])
	t.lifetime, ok = c.lifetime(now)
	return t, ok
}

// members returns the members of a JSON object or a form.
func members(body []byte) (Claims, bool) {
	body = bytes.TrimSpace(body) // a form may end in a line break
	if isJSON(body) {
		var c Claims
		if json.Unmarshal(body, &c) != nil {
			return nil, false
		}
		dropNulls(c)
		return c, true
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !isForm(body) {
		return nil, false
	}
	c := make(Claims, len(form))
	for name := range form {
		c[name], _ = json.Marshal(form.Get(name))
	}
	return c, true
}

// lifetime returns the lifetime of an access token. It is not positive if the response has
// none. It returns false for an expires_in that is not a number of seconds. Some providers
// send a number in quotes. Some send expires instead, which is a number of seconds, or a
// date if it is large.
func (c Claims) lifetime(now time.Time) (time.Duration, bool) {
	const date = 1e9 // 2001, or 31 years
	if c["expires_in"] != nil {
		seconds, err := strconv.ParseInt(unquoted(c["expires_in"]), 10, 64)
		return time.Duration(min(seconds, date)) * time.Second, err == nil
	}
	switch seconds, _ := strconv.ParseFloat(unquoted(c["expires"]), 64); {
	case !(0 < seconds && seconds < 1e10):
		return 0, true
	case seconds > date:
		return time.Unix(int64(seconds), 0).Sub(now), true
	default:
		return time.Duration(seconds) * time.Second, true
	}
}

func unquoted(number []byte) string { return strings.Trim(string(number), `"`) }
