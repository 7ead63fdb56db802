// Command leaving is an application whose users log out in many ways. All its pages are
// guarded, and may send forms only to themselves. It is also a provider that keeps its
// own session, and asks for the user's name only if there is none:
//
//	leaving
//	leaving provider ISSUER APPLICATION
//
// The application reads the same environment variables as the examples, and from SCRIPTS
// the folder with the scripts of htmx and Turbo. Its client id selects where a logout
// ends: page is pixy's own page, and bye is the application's.
package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"html/template"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/examples/devprovider"
)

func main() {
	address, handler := os.Getenv("ADDR"), http.Handler(nil)
	if len(os.Args) == 4 && os.Args[1] == "provider" {
		address, handler = "127.0.0.1:0", newProvider(os.Args[2], os.Args[3])
	} else {
		handler = newApplication()
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%s/ in a browser", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

func newProvider(issuer, application string) http.Handler {
	callback := application + "/auth/callback"
	p := logintest.NewProvider(issuer,
		logintest.Client{ID: "page", RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{application + "/auth/logout"}},
		logintest.Client{ID: "bye", RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{application + "/bye"}})
	const cookie = "provider-session"
	var users sync.Map // by session
	ask := devprovider.New(issuer, callback, application).Authenticate
	p.Authenticate = func(w http.ResponseWriter, r *http.Request) (logintest.User, bool) {
		if session, err := r.Cookie(cookie); err == nil {
			if user, ok := users.Load(session.Value); ok {
				return user.(logintest.User), true
			}
		}
		user, ok := ask(w, r)
		if ok {
			user.SessionID = rand.Text()
			users.Store(user.SessionID, user)
			http.SetCookie(w, &http.Cookie{Name: cookie, Value: user.SessionID, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		}
		return user, ok
	}
	mux := http.NewServeMux()
	mux.Handle("/", p)
	mux.HandleFunc("/end-session", func(w http.ResponseWriter, r *http.Request) {
		if session, err := r.Cookie(cookie); err == nil && r.FormValue("id_token_hint") != "" {
			users.Delete(session.Value)
		}
		p.ServeHTTP(w, r)
	})
	return mux
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<title>leaving</title>
{{with .Script}}<script src="/scripts/{{.}}" defer></script>{{end}}
</head>
<body {{.Body}}>
<h1>{{.Heading}}</h1>
<a href="/other">Other page</a> <a href="/auth/login?return_to=/other">Log in anew</a> <a href="/auth/logout">Leave</a>
{{.Logout}}
</body>
</html>
`))

const form = `<form method="post" action="/auth/logout"><button>Log out</button></form>`

// A way to log out.
type way struct {
	Script  string
	Body    template.HTMLAttr
	Logout  template.HTML
	Heading string
}

var ways = map[string]way{
	"form":         {Logout: form},
	"fetch":        {Script: "leave.js", Logout: `<button id="leave">Log out</button>`},
	"turbo":        {Script: "@hotwired/turbo/dist/turbo.es2017-umd.js", Logout: form},
	"htmx1-boost":  {Script: "htmx1/dist/htmx.min.js", Body: `hx-boost="true"`, Logout: form},
	"htmx2-boost":  {Script: "htmx2/dist/htmx.min.js", Body: `hx-boost="true"`, Logout: form},
	"htmx4-boost":  {Script: "htmx4/dist/htmx.min.js", Body: `hx-boost:inherited="true"`, Logout: form},
	"htmx1-button": {Script: "htmx1/dist/htmx.min.js", Logout: `<button hx-post="/auth/logout">Log out</button>`},
	"htmx2-button": {Script: "htmx2/dist/htmx.min.js", Logout: `<button hx-post="/auth/logout">Log out</button>`},
	"htmx4-button": {Script: "htmx4/dist/htmx.min.js", Logout: `<button hx-post="/auth/logout">Log out</button>`},
}

const leaveScript = `document.querySelector('#leave').addEventListener('click', async () => {
  const response = await fetch('/auth/logout', { method: 'POST', headers: { Accept: 'application/json' } });
  location.assign((await response.json()).logout_url);
});
`

func newApplication() http.Handler {
	config := core.Config{
		Providers:   []core.Provider{{Issuer: os.Getenv("OIDC_ISSUER"), ClientID: os.Getenv("OIDC_CLIENT_ID")}},
		RedirectURL: cmp.Or(os.Getenv("OIDC_REDIRECT_URL"), "http://"+os.Getenv("ADDR")+"/auth/callback"),
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
	}
	if os.Getenv("OIDC_CLIENT_ID") == "bye" {
		config.Logout.After = "/bye"
	}
	auth, err := core.New(config)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /with/{way}", func(w http.ResponseWriter, r *http.Request) {
		shown, ok := ways[r.PathValue("way")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		shown.Heading = httplogin.User(r).Name
		_ = page.Execute(w, shown)
	})
	mux.HandleFunc("GET /other", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "application/json") {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(httplogin.User(r))
			return
		}
		_ = page.Execute(w, way{Heading: "Other"})
	})
	mux.HandleFunc("GET /bye", func(w http.ResponseWriter, r *http.Request) { _ = page.Execute(w, way{Heading: "Goodbye"}) })
	mux.HandleFunc("GET /scripts/leave.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write([]byte(leaveScript))
	})
	mux.Handle("GET /scripts/", http.StripPrefix("/scripts", http.FileServer(http.Dir(os.Getenv("SCRIPTS")))))
	return strict(httplogin.New(auth).Wrap(mux, "/bye", "/scripts/"))
}

// strict lets pages send forms only to themselves, and run only their own scripts.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; form-action 'self'; style-src 'self' 'unsafe-inline'")
		next.ServeHTTP(w, r)
	})
}
