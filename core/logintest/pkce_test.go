package logintest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

const (
	issuer   = "https://id.example.test"
	callback = "https://app.example.test/callback"
	verifier = "a-verifier-of-forty-three-characters-exactly"
)

// clients are the clients with which each rule is tested.
var clients = map[string]logintest.Client{
	"public":       {ID: "app", RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{"https://app.example.test/"}},
	"confidential": {ID: "app", Secret: "s:e%c+r/e t", RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{"https://app.example.test/"}},
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// bench is a provider with one client, and the client's requests.
type bench struct {
	t        *testing.T
	provider *logintest.Provider
	client   logintest.Client
	http     *http.Client
}

func newBench(t *testing.T, client logintest.Client) *bench {
	provider := logintest.NewProvider(issuer, client)
	b := &bench{t: t, provider: provider, client: client, http: provider.HTTPClient()}
	b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// request returns a valid authorization request, which rows change.
func (b *bench) request() url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {b.client.ID}, "redirect_uri": {callback},
		"scope": {"openid profile email offline_access"}, "state": {"the-state"}, "nonce": {"the-nonce"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
}

// authorize returns the status and the query that the client gets.
func (b *bench) authorize(request url.Values) (int, url.Values) {
	b.t.Helper()
	response, err := b.http.Get(issuer + "/authorize?" + request.Encode())
	if err != nil {
		b.t.Fatal(err)
	}
	response.Body.Close()
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, location.Query()
}

func (b *bench) code() string {
	b.t.Helper()
	_, query := b.authorize(b.request())
	if query.Get("code") == "" {
		b.t.Fatalf("no code: %v", query)
	}
	return query.Get("code")
}

// form returns a valid token request, which rows change.
func (b *bench) form(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback},
		"code_verifier": {verifier}, "client_id": {b.client.ID},
	}
}

// token sends a token request with the client's authentication.
func (b *bench) token(form url.Values) (int, map[string]any) {
	b.t.Helper()
	if b.client.Secret != "" {
		form.Set("client_secret", b.client.Secret)
	}
	response, err := b.http.PostForm(issuer+"/token", form)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		b.t.Fatal(err)
	}
	if got := response.Header.Get("Cache-Control"); got != "no-store" {
		b.t.Errorf("Cache-Control: got %q", got)
	}
	return response.StatusCode, answer
}

func forEachClient(t *testing.T, test func(*testing.T, *bench)) {
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, client))
		})
	}
}

func TestChallengeIsDemanded(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(url.Values){
		"no challenge":                  func(q url.Values) { q.Del("code_challenge") },
		"neither challenge nor method":  func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") },
		"stray verifier, no challenge":  func(q url.Values) { q.Del("code_challenge"); q.Set("code_verifier", verifier) },
		"method absent, which is plain": func(q url.Values) { q.Del("code_challenge_method") },
		"method plain":                  func(q url.Values) { q.Set("code_challenge_method", "plain") },
		"method S512":                   func(q url.Values) { q.Set("code_challenge_method", "S512") },
		"method in lower case":          func(q url.Values) { q.Set("code_challenge_method", "s256") },
		"challenge twice":               func(q url.Values) { q.Add("code_challenge", q.Get("code_challenge")) },
		"method twice":                  func(q url.Values) { q.Add("code_challenge_method", "S256") },
		"challenge too short":           func(q url.Values) { q.Set("code_challenge", q.Get("code_challenge")[1:]) },
		"challenge with padding":        func(q url.Values) { q.Set("code_challenge", q.Get("code_challenge")+"=") },
		"challenge of other characters": func(q url.Values) { q.Set("code_challenge", "+"+q.Get("code_challenge")[1:]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachClient(t, func(t *testing.T, b *bench) {
				request := b.request()
				spoil(request)
				status, got := b.authorize(request)
				if status != http.StatusSeeOther || got.Get("error") != "invalid_request" || got.Has("code") || got.Get("state") != "the-state" || got.Get("iss") != issuer {
					t.Errorf("got %d %v", status, got)
				}
			})
		})
	}
}

func TestVerifierIsDemanded(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(url.Values){
		"wrong":              func(f url.Values) { f.Set("code_verifier", strings.Repeat("x", 43)) },
		"missing":            func(f url.Values) { f.Del("code_verifier") },
		"empty":              func(f url.Values) { f.Set("code_verifier", "") },
		"the challenge":      func(f url.Values) { f.Set("code_verifier", challenge(verifier)) },
		"42 characters":      func(f url.Values) { f.Set("code_verifier", verifier[:42]) },
		"129 characters":     func(f url.Values) { f.Set("code_verifier", strings.Repeat("x", 129)) },
		"illegal characters": func(f url.Values) { f.Set("code_verifier", "+"+verifier[1:]) },
		"a line break":       func(f url.Values) { f.Set("code_verifier", verifier+"\n") },
		"twice":              func(f url.Values) { f.Add("code_verifier", verifier) },
		"one character off":  func(f url.Values) { f.Set("code_verifier", "A"+verifier[1:]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachClient(t, func(t *testing.T, b *bench) {
				form := b.form(b.code())
				spoil(form)
				if status, got := b.token(form); status != http.StatusBadRequest || got["error"] == nil || got["access_token"] != nil {
					t.Errorf("got %d %v", status, got)
				}
			})
		})
	}
}

// Verifiers of invalid length are rejected, even if they match their challenge.
func TestVerifierLength(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]int{42: 400, 43: 200, 128: 200, 129: 400} {
		forEachClient(t, func(t *testing.T, b *bench) {
			long := strings.Repeat("v", length)
			request := b.request()
			request.Set("code_challenge", challenge(long))
			_, answer := b.authorize(request)
			form := b.form(answer.Get("code"))
			form.Set("code_verifier", long)
			if got, body := b.token(form); got != want {
				t.Errorf("%d characters: got %d %v", length, got, body)
			}
		})
	}
}

func TestACodeHasOneTry(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]func(url.Values){
		"none":      func(f url.Values) { f.Del("code_verifier") },
		"the right": func(url.Values) {},
	} {
		t.Run("a wrong verifier, then "+name, func(t *testing.T) {
			t.Parallel()
			forEachClient(t, func(t *testing.T, b *bench) {
				code := b.code()
				form := b.form(code)
				form.Set("code_verifier", strings.Repeat("x", 43))
				b.token(form)
				form = b.form(code)
				second(form)
				if status, got := b.token(form); status != http.StatusBadRequest || got["access_token"] != nil {
					t.Errorf("got %d %v", status, got)
				}
			})
		})
	}
	t.Run("a verifier for an unknown code", func(t *testing.T) {
		t.Parallel()
		forEachClient(t, func(t *testing.T, b *bench) {
			if status, got := b.token(b.form("unknown")); status != http.StatusBadRequest || got["error"] != "invalid_grant" {
				t.Errorf("got %d %v", status, got)
			}
		})
	})
}

func TestOneOfSixteenWins(t *testing.T) {
	t.Parallel()
	race := func(b *bench, form func() url.Values) int32 {
		var won atomic.Int32
		var tries sync.WaitGroup
		for range 16 {
			tries.Go(func() {
				if status, _ := b.token(form()); status == http.StatusOK {
					won.Add(1)
				}
			})
		}
		tries.Wait()
		return won.Load()
	}
	t.Run("code", func(t *testing.T) {
		t.Parallel()
		forEachClient(t, func(t *testing.T, b *bench) {
			code := b.code()
			if got := race(b, func() url.Values { return b.form(code) }); got != 1 {
				t.Errorf("%d redemptions of one code", got)
			}
		})
	})
	t.Run("refresh token", func(t *testing.T) {
		t.Parallel()
		forEachClient(t, func(t *testing.T, b *bench) {
			_, answer := b.token(b.form(b.code()))
			refresh := answer["refresh_token"].(string)
			if got := race(b, func() url.Values { return b.refresh(refresh) }); got != 1 {
				t.Errorf("%d uses of one refresh token", got)
			}
		})
	})
}

func (b *bench) refresh(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {b.client.ID}}
}
