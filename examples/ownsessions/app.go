package main

import (
	"crypto/cipher"
	"database/sql"
	_ "embed"
	"encoding/json"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

// An app is the application.
type app struct {
	db          *sql.DB
	auth        *core.Authenticator
	sealer      cipher.AEAD  // for grants
	client      *http.Client // for the background job
	userInfoURL string
	basePath    string // such as /reader, or empty
	secure      bool   // the application is on https
	cookie      string // the name of the session's cookie
	interval    time.Duration
	now         func() time.Time
	pages       *template.Template
}

// newApp returns the application. It connects its sessions with pixy in config.
func newApp(config core.Config, db *sql.DB, userInfoURL string) (*app, error) {
	a := &app{
		db: db, client: config.HTTPClient, userInfoURL: userInfoURL,
		basePath: config.BasePath, secure: strings.HasPrefix(config.RedirectURL, "https://"),
		interval: jobInterval, now: time.Now,
	}
	a.cookie = cookieName(a.secure, a.basePath)
	if a.client == nil {
		a.client = &http.Client{Timeout: 10 * time.Second}
	}
	config.OnLogin = a.onLogin
	config.Sessions.Own = &core.OwnSessions{Start: a.startSession, End: a.endSession, EndByProvider: a.endSessionsAt}
	var err error
	if a.auth, err = core.New(config); err != nil {
		return nil, err
	}
	if a.sealer, err = newSealer(config.SessionKey); err != nil {
		return nil, err
	}
	a.pages, err = template.New("page").Funcs(template.FuncMap{"path": a.path}).Parse(pageHTML)
	return a, err
}

// handler returns the application's handler. The login serves its own routes
// first, and the application's router has everything else.
func (a *app) handler() http.Handler {
	ownForms := http.NewCrossOriginProtection() // other sites must not post this form
	router := mux.NewRouter()
	if a.basePath != "" {
		router.Handle(a.basePath, http.RedirectHandler(a.path("/"), http.StatusSeeOther))
	}
	// Each page has two routes, because a proxy may remove the base path.
	for _, prefix := range slices.Compact([]string{"", a.basePath}) {
		router.HandleFunc(prefix+"/", a.home).Methods(http.MethodGet, http.MethodHead)
		router.Handle(prefix+"/me", a.requireSession(a.me))
		router.Handle(prefix+"/link", ownForms.Handler(a.requireSession(a.startLink))).Methods(http.MethodPost)
	}

	login := httplogin.New(a.auth)
	return a.loadSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !login.ServeLogin(w, r) {
			router.ServeHTTP(w, r)
		}
	}))
}

// path returns a path of the application as browsers see it.
func (a *app) path(p string) string { return a.basePath + p }

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	a.show(w, "home", sessionOf(r.Context()))
}

func (a *app) me(w http.ResponseWriter, r *http.Request) {
	s := sessionOf(r.Context())
	identities, err := identitiesOf(r.Context(), a.db, s.Account)
	if err != nil {
		a.auth.ServeError(w, r, errDatabase(err))
		return
	}
	w.Header().Add("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		private(w)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"account": s.Account, "subject": s.Subject, "issuer": s.Issuer, "name": s.Name, "email": s.Email, "identities": identities,
		})
		return
	}
	a.show(w, "me", map[string]any{"Session": s, "Identities": identities})
}

// startLink starts a login whose user is added to the account. The payload says
// so: it is sealed in the login, and nothing that a browser sends can set it.
func (a *app) startLink(w http.ResponseWriter, r *http.Request) {
	err := a.auth.LoginWith(w, r, core.LoginOptions{
		ReturnTo:   a.path("/me"),
		Payload:    accountOf(r.Context()),
		AuthParams: url.Values{"prompt": {"login"}}, // otherwise, many providers answer with the user who is logged in there
	})
	if err != nil {
		a.auth.ServeError(w, r, err)
	}
}

func (a *app) show(w http.ResponseWriter, name string, data any) {
	private(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := a.pages.ExecuteTemplate(w, name, data); err != nil {
		log.Print(err) // the browser may have disconnected
	}
}

// private marks a response as that of one user. Caches must not keep it.
func private(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }

//go:embed page.html
var pageHTML string
