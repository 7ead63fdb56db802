package logintest_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
)

// entering is how a tutorial's sign-in page works. Every attack succeeds against the zero
// value. Each switch fixes one weakness, or replaces it by another.
type entering struct {
	encodes bool // … the page to return to, for the login's link
	escapes bool // … HTML
	quiet   bool // shows no message of the request
	fixed   bool // has a link home, instead of one to the page to return to
	passes  bool // passes a parameter of the request on to the login
	form    bool // has a form instead of a link
	guard   bool // Private redirects to this page
}

func (a *tutorial) signIn(w http.ResponseWriter, r *http.Request) {
	how, query := a.enters, r.URL.Query()
	if how == nil {
		how = new(entering)
	}
	next, message, back := query.Get("next"), query.Get("message"), query.Get("next")
	if how.fixed {
		back = "/"
	}
	if how.quiet {
		message = ""
	}
	link := next
	if how.encodes {
		link = url.QueryEscape(next)
	}
	if how.escapes {
		next, link, message, back = html.EscapeString(next), html.EscapeString(link), html.EscapeString(message), html.EscapeString(back)
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, `<p>%s</p><a href="%s">Back</a><a href="https://docs.example.test">Help</a>`, message, back)
	if how.form {
		fmt.Fprintf(w, `<form action="/auth/login"><input type="hidden" name="next" value="%s"><button name="provider" value="one">Log in</button></form>`, next)
		return
	}
	if how.passes {
		link += "&connection=" + url.QueryEscape(query.Get("connection"))
	}
	fmt.Fprintf(w, `<a href="/auth/login?next=%s">Log in</a>`, link)
}

// calling is how a tutorial's API works. Every attack succeeds against the zero value.
type calling struct {
	fresh   bool                     // has Cache-Control: no-store
	typed   bool                     // is application/json
	nosniff bool                     // says that it is
	open    func(origin string) bool // origins that may read it; nil: all
	pure    bool                     // answers no scripts
	denies  int                      // status without a session; 0: a redirect
	quiet   bool                     // answers without the request's cookies
	guards  bool                     // … POSTs of other origins
	strict  bool                     // requires application/json for a POST
	bare    bool                     // lets other origins send no header fields of their own
}

// callable answers a request of the API as far as it can, and reports whether there is
// more to say.
func (a *tutorial) callable(w http.ResponseWriter, r *http.Request) (*calling, url.Values, bool) {
	how := a.called
	if how == nil {
		how = new(calling)
	}
	if from := r.Header.Get("Origin"); from != "" && (how.open == nil || how.open(from)) {
		w.Header().Set("Access-Control-Allow-Origin", from)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		if !how.bare {
			w.Header().Set("Access-Control-Allow-Headers", "content-type, x-requested-with")
		}
	}
	if r.Method == http.MethodOptions {
		return how, nil, false
	}
	session, ok := readCookie(r, "session")
	if ok {
		return how, session, true
	}
	if how.denies == 0 {
		http.Redirect(w, r, "/auth/login", http.StatusFound)
	} else {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(how.denies)
		fmt.Fprint(w, `{"user":null}`)
	}
	return how, nil, false
}

func (a *tutorial) apiSession(w http.ResponseWriter, r *http.Request) {
	how, session, ok := a.callable(w, r)
	if !ok {
		return
	}
	answer := map[string]string{"name": session.Get("name")}
	if !how.quiet {
		answer["debug"] = r.Header.Get("Cookie")
	}
	if how.fresh {
		w.Header().Set("Cache-Control", "no-store")
	}
	if how.typed {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	if how.nosniff {
		w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	body, _ := json.Marshal(answer)
	if function := r.URL.Query().Get("callback"); function != "" && !how.pure {
		fmt.Fprintf(w, "%s(%s)", function, body)
		return
	}
	w.Write(body)
}

func (a *tutorial) apiNote(w http.ResponseWriter, r *http.Request) {
	how, _, ok := a.callable(w, r)
	switch {
	case !ok:
	case how.guards && !fromHere(r):
		http.Error(w, "not allowed", http.StatusForbidden)
	case how.strict && r.Header.Get("Content-Type") != "application/json":
		http.Error(w, "not JSON", http.StatusUnsupportedMediaType)
	}
}

// fromHere reports whether a page of the tutorial has sent r.
func fromHere(r *http.Request) bool {
	from := r.Header.Get("Origin")
	return r.Header.Get("Sec-Fetch-Site") != "cross-site" && (from == "" || from == "https://app.example.test")
}

// Logouts.

// leaves ends sessions by requests that pass a check.
func leaves(check func(*http.Request) bool) func(*tutorial, http.ResponseWriter, *http.Request) {
	return func(a *tutorial, w http.ResponseWriter, r *http.Request) {
		if !check(r) {
			http.Error(w, "not allowed", http.StatusForbidden)
			return
		}
		a.end(w)
		http.Redirect(w, r, "/", http.StatusFound)
	}
}

// leadsTo ends sessions by requests of its own pages, and tells scripts where to go.
func leadsTo(where func(*http.Request) string) func(*tutorial, http.ResponseWriter, *http.Request) {
	return func(a *tutorial, w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !fromHere(r) {
			http.Error(w, "not allowed", http.StatusForbidden)
			return
		}
		a.end(w)
		switch {
		case r.Header.Get("HX-Request") != "":
			w.Header().Set("HX-Redirect", where(r))
		case strings.Contains(r.Header.Get("Accept"), "json"):
			json.NewEncoder(w).Encode(map[string]string{"logout_url": where(r)})
		default:
			http.Redirect(w, r, "/", http.StatusSeeOther)
		}
	}
}

func acceptsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

// checksForms checks forms, and trusts scripts.
func checksForms(r *http.Request) bool {
	return r.Method == http.MethodPost && (fromHere(r) || acceptsJSON(r))
}

// checksPosts checks requests by POST, and trusts other scripts.
func checksPosts(r *http.Request) bool {
	return fromHere(r) || r.Method == http.MethodGet && acceptsJSON(r)
}

// trustsHeaders trusts scripts that can set a header of their own.
func trustsHeaders(r *http.Request) bool {
	return r.Method == http.MethodPost && (fromHere(r) || r.Header.Get("X-Requested-With") != "")
}

func inQuery(r *http.Request) string { return cmp.Or(r.URL.Query().Get("next"), "/") }

func inForm(r *http.Request) string { return cmp.Or(r.PostFormValue("return_to"), "/") }

func inBody(r *http.Request) string {
	var body struct {
		Next string `json:"logout_url"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	return cmp.Or(body.Next, "/")
}

func atHost(r *http.Request) string { return "https://" + r.Host + "/" }

func atForwardedHost(r *http.Request) string {
	return "https://" + cmp.Or(r.Header.Get("X-Forwarded-Host"), r.Host) + "/"
}

func atProvider(r *http.Request) string {
	return "https://id.example.test/end-session?post_logout_redirect_uri=" + url.QueryEscape(inQuery(r))
}

func home(*http.Request) string { return "/" }
