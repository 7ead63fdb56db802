package logintest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A keeper keeps the tokens of a tutorial's login: unencrypted, in a cookie, and refreshed
// by every concurrent request. Do not copy it. Each switch fixes one weakness.
type keeper struct {
	once     bool // refreshes one after another, each token once
	heeds    bool // ends the session if a refresh is rejected
	patient  bool // keeps the session while the provider is down
	compares bool // checks the refreshed ID token
	onServer bool // tokens are in memory, by subject
	shown    bool // the page shows the refresh token

	online bool // does not ask for refresh tokens
	short  bool // refreshes with half a token, except the first time
	count  atomic.Int32

	mu   sync.Mutex
	done map[string]*tokenResponse // refreshes, by the token that they used
	kept map[string]url.Values     // by subject
}

func (k *keeper) keep(a *tutorial, w http.ResponseWriter, subject string, t *tokenResponse) {
	expires := time.Now().Add(time.Duration(t.Expires)*time.Second - 10*time.Second).Unix()
	tokens := url.Values{"access": {t.Access}, "refresh": {t.Refresh}, "expires": {fmt.Sprint(expires)}}
	if !k.onServer {
		a.setCookie(w, "tokens", tokens.Encode(), 3600)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept = make(map[string]url.Values)
	}
	k.kept[subject] = tokens
}

func (k *keeper) read(r *http.Request, subject string) url.Values {
	if !k.onServer {
		tokens, _ := readCookie(r, "tokens")
		return tokens
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept[subject]
}

// use returns the session, or none if it has ended, and the API's response.
func (k *keeper) use(a *tutorial, w http.ResponseWriter, r *http.Request, session url.Values) (url.Values, string) {
	tokens := k.read(r, session.Get("sub"))
	if tokens == nil {
		return session, ""
	}
	access := tokens.Get("access")
	if expires, _ := strconv.ParseInt(tokens.Get("expires"), 10, 64); expires <= time.Now().Unix() {
		fresh := k.refresh(a, tokens.Get("refresh"))
		claims, ok := fresh.claims()
		switch {
		case fresh.Error == "" && !ok && k.patient, fresh.Error != "" && !k.heeds:
			return session, ""
		case !ok || k.compares && !a.isOfLogin(claims, session):
			a.setCookie(w, "session", "", -1)
			return nil, ""
		}
		session = url.Values{"sub": {fmt.Sprint(claims["sub"])}, "name": {fmt.Sprint(claims["name"])}}
		a.begin(w, r, claims)
		k.keep(a, w, session.Get("sub"), fresh)
		access = fresh.Access
	}
	claims := make(map[string]any)
	a.askUserInfo(access, claims)
	if k.shown {
		return session, fmt.Sprint(" API: ", claims["name"], tokens)
	}
	return session, fmt.Sprint(" API: ", claims["name"])
}

// isOfLogin compares the claims that identify the login. The login had no nonce.
func (a *tutorial) isOfLogin(claims map[string]any, session url.Values) bool {
	return claims["iss"] == a.provider.Issuer() && claims["aud"] == "app" && claims["sub"] == session.Get("sub") && claims["nonce"] == nil
}

func (k *keeper) refresh(a *tutorial, token string) *tokenResponse {
	if k.once {
		k.mu.Lock()
		defer k.mu.Unlock()
		if done := k.done[token]; done != nil {
			return done
		}
	}
	if k.count.Add(1) > 1 && k.short {
		token = token[:len(token)/2]
	}
	fresh := new(tokenResponse)
	answer, err := a.client.PostForm(a.provider.Issuer()+"/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {"app"}, "client_secret": {a.secret},
	})
	if err == nil {
		defer answer.Body.Close()
		_ = json.NewDecoder(answer.Body).Decode(fresh) // an error means no tokens
	}
	if k.once {
		if k.done == nil {
			k.done = make(map[string]*tokenResponse)
		}
		k.done[token] = fresh
	}
	return fresh
}
