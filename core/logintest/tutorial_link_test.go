package logintest_test

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// A linker lets the users of a tutorial link accounts. Every attack succeeds. Each switch
// fixes one weakness, or replaces it by another.
type linker struct {
	own      bool // begins by POST only, from its own pages
	perLogin bool // keeps by the login's state that it is a link, and whose; otherwise in a cookie
	inState  bool // keeps in the state that it is a link, which is then for the user who is logged in at its end
	compares bool // requires at the end that the link's user is logged in
	keeps    bool // fails without the record of the login
	forgets  bool // links nothing

	mu    sync.Mutex
	begun map[string]string         // by state: the account of the link's user
	users map[string]map[string]any // by account: the claims of the user whose it is
}

func (l *linker) start() { l.begun, l.users = make(map[string]string), make(map[string]map[string]any) }

func (l *linker) begin(a *tutorial, w http.ResponseWriter, r *http.Request) {
	session, ok := readCookie(r, "session")
	if !ok || l.own && (r.Method != "POST" || r.Header.Get("Sec-Fetch-Site") != "same-origin") {
		http.Error(w, "not allowed", http.StatusForbidden)
		return
	}
	data := url.Values{"state": {rand.Text()}}
	switch {
	case l.inState:
		data.Set("state", "link-"+rand.Text())
	case l.perLogin:
		l.mu.Lock()
		l.begun[data.Get("state")] = session.Get("sub")
		l.mu.Unlock()
	default:
		a.setCookie(w, "link", url.Values{"link": session["sub"]}.Encode(), 600)
	}
	a.loginWith(w, r, data)
}

// finish returns the claims of the user who logs in, or nil if the login was a link.
func (l *linker) finish(w http.ResponseWriter, r *http.Request, attempt url.Values, claims map[string]any) map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	account := fmt.Sprint(claims["sub"])
	session, _ := readCookie(r, "session")
	link, _ := readCookie(r, "link")
	state := r.URL.Query().Get("state")
	user := cmp.Or(l.begun[state], link.Get("link"))
	if strings.HasPrefix(state, "link-") {
		user = session.Get("sub")
	}
	switch {
	case l.keeps && attempt.Get("state") == "":
	case user == "" && l.users[account] == nil:
		l.users[account] = claims
		return claims
	case user == "":
		return l.users[account]
	case !l.compares || session.Get("sub") == user:
		if !l.forgets {
			l.users[account] = l.users[user]
		}
		http.Redirect(w, r, "/me", http.StatusFound)
		return nil
	}
	http.Error(w, "this link cannot be finished", http.StatusForbidden)
	return nil
}
