package devprovider

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

const (
	// userCookie says who is logged in at the provider, for prompt=none.
	// Other logins always ask, so that you can become another user.
	userCookie  = "devprovider-user"
	maxSessions = 1000
)

// A provider remembers who may log in, and who is logged in.
type provider struct {
	*logintest.Provider
	users []logintest.User // who can be chosen

	mu       sync.Mutex
	sessions map[string]logintest.User // by the value of userCookie
}

// NewProvider returns a provider that asks who logs in: one of these users, or
// anybody.
func NewProvider(issuer string, users []logintest.User, clients ...logintest.Client) *logintest.Provider {
	p := &provider{
		Provider: logintest.NewProvider(issuer, clients...),
		users:    users,
		sessions: make(map[string]logintest.User),
	}
	p.Authenticate, p.Current, p.Page = p.authenticate, p.current, showMessage
	p.Misbehave(logintest.Faults{Intercept: p.endSession}) // which is no fault
	return p.Provider
}

// begin remembers the user of a browser.
func (p *provider) begin(w http.ResponseWriter, user logintest.User) logintest.User {
	user.AuthTime, user.SessionID = time.Now(), rand.Text()
	key := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sessions) >= maxSessions {
		clear(p.sessions) // the price is that some logins with prompt=none fail
	}
	p.sessions[key] = user
	http.SetCookie(w, p.cookie(key, 0))
	return user
}

// current returns the user of a browser.
func (p *provider) current(r *http.Request) (user logintest.User, ok bool) {
	cookie, err := r.Cookie(userCookie)
	if err != nil {
		return logintest.User{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	user, ok = p.sessions[cookie.Value]
	return user, ok
}

// endSession forgets the user of a browser that logs out.
func (p *provider) endSession(at logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
	if at == logintest.EndSession {
		http.SetCookie(w, p.cookie("", -1))
	}
	return false // the provider answers
}

func (p *provider) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: userCookie, Value: value, Path: "/", MaxAge: maxAge,
		Secure: strings.HasPrefix(p.Issuer(), "https:"), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
