package devprovider

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pixyauth/pixy/core/logintest"
)

// A form is the login page, with what the user has typed so far.
type form struct {
	Action  string // the authorization request
	Users   []choice
	Email   string
	Name    string
	Claims  string // more claims, as JSON
	ACR     string
	AsksACR bool
	Problem string
}

// A choice is a button that logs in a user of the list.
type choice struct {
	Number        int
	Title, Detail string
	Hinted        bool // the application expects this user
}

// authenticate shows the form, and accepts what the form says.
func (p *provider) authenticate(w http.ResponseWriter, r *http.Request) (logintest.User, bool) {
	request := r.URL.Query()
	posted := r.Method == http.MethodPost
	if posted && !request.Has("client_id") { // the application has posted its request
		request, posted = r.PostForm, false
	}
	if posted && r.PostForm.Has("cancel") {
		p.cancel(w, r, request)
		return logintest.User{}, false
	}
	f := p.newForm(request)
	if !posted {
		show(w, http.StatusOK, "form", f)
		return logintest.User{}, false
	}
	user, err := p.choose(r.PostForm, f)
	if err != nil {
		f.Problem = err.Error()
		show(w, http.StatusUnprocessableEntity, "form", f)
		return logintest.User{}, false
	}
	return p.begin(w, user), true
}

func (p *provider) newForm(request url.Values) *form {
	hint := request.Get("login_hint")
	f := &form{
		Action:  "?" + request.Encode(),
		Email:   "ada@example.test",
		Name:    "Ada Lovelace",
		AsksACR: request.Get("acr_values") != "",
	}
	f.ACR, _, _ = strings.Cut(strings.TrimSpace(request.Get("acr_values")), " ") // the one that is preferred
	if strings.Contains(hint, "@") {
		f.Email, f.Name = hint, ""
	}
	for i, user := range p.users {
		title, detail := describe(user)
		hinted := hint != "" && (hint == user.Subject || hint == user.Claims["email"] || hint == user.Claims["preferred_username"])
		f.Users = append(f.Users, choice{Number: i + 1, Title: title, Detail: detail, Hinted: hinted})
	}
	slices.SortStableFunc(f.Users, func(a, b choice) int { // the expected user comes first
		switch {
		case a.Hinted == b.Hinted:
			return 0
		case a.Hinted:
			return -1
		}
		return 1
	})
	return f
}

// choose returns the user whom the form names, and keeps in f what was typed.
func (p *provider) choose(posted url.Values, f *form) (logintest.User, error) {
	if number := posted.Get("user"); number != "" {
		if n, err := strconv.Atoi(number); err == nil && n >= 1 && n <= len(p.users) {
			return p.users[n-1], nil
		}
		return logintest.User{}, &mistake{why: "this user is no longer in the list"}
	}
	f.Email, f.Name = strings.TrimSpace(posted.Get("email")), strings.TrimSpace(posted.Get("name"))
	f.Claims, f.ACR = posted.Get("claims"), strings.TrimSpace(posted.Get("acr"))
	claims := make(map[string]any)
	for name, typed := range map[string]string{"email": f.Email, "name": f.Name, "acr": f.ACR} {
		if typed != "" {
			claims[name] = typed
		}
	}
	more, err := parseClaims([]byte(cmp.Or(strings.TrimSpace(f.Claims), "{}")))
	if err != nil {
		return logintest.User{}, err
	}
	for name, value := range more {
		claims[name] = value
	}
	user, wrong := newUser(claims)
	if wrong != nil {
		return logintest.User{}, wrong
	}
	return user, nil
}

// cancel sends the browser back with an error response (RFC 6749 section
// 4.1.2.1) and the issuer (RFC 9207).
func (p *provider) cancel(w http.ResponseWriter, r *http.Request, request url.Values) {
	response := url.Values{
		"error": {"access_denied"}, "error_description": {"the user canceled the login"},
		"iss": {p.Issuer()},
	}
	if state := request.Get("state"); state != "" {
		response.Set("state", state)
	}
	redirectURI := request.Get("redirect_uri")
	if request.Get("response_mode") == "form_post" {
		show(w, http.StatusOK, "post", map[string]any{"Action": redirectURI, "Response": response})
		return
	}
	separator := "?"
	if strings.Contains(redirectURI, "?") {
		separator = "&"
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, redirectURI+separator+response.Encode(), http.StatusSeeOther)
}
