// Command entering is an application with two login providers, which it embeds, and two
// that cannot be reached. Its own sign-in page lets users choose one of the first two, and pixy's pages are in the user's language. It
// reads these environment variables:
//
//	ADDR       where it listens
//	SIGN_IN    the path of its sign-in page; empty: there is none, so users choose on pixy's page
//	GERMAN     a file with the German sentences
//	CUSTOMERS  ask: it has one more provider, for users who type an address at acme.example;
//	           mail: it sends such users a link, and shows at /mail what it has sent
package main

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/examples/devprovider"
)

//go:embed ar.json
var arabic []byte

func main() {
	addr := os.Getenv("ADDR")
	config := core.Config{
		RedirectURL: "http://" + addr + "/auth/callback",
		SessionKey:  []byte("a session key of thirty-two bytes or more"),
		Pages:       core.PageConfig{SignInPath: os.Getenv("SIGN_IN"), AppName: "Bücherei & Archiv", Language: speaks()},
	}
	for i, p := range []core.Provider{
		{Name: "work", Label: "Müller & Söhne GmbH"},
		{Name: "home", Label: "بوابة OpenID (تجريبي)"},
		{Name: "down", Label: "Bundesanstalt für Landwirtschaft und Ernährung, Referat 321 Bonn"},
		{Name: "long", Label: "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbea"},
	} {
		p.RedirectURL = config.RedirectURL + "/" + p.Name
		switch {
		case i < 2:
			p.Issuer, p.ClientID = devprovider.Start(p.RedirectURL, "/auth/logout")
		case config.Pages.SignInPath == "":
			p.Issuer, p.ClientID = "http://127.0.0.1:1/"+p.Name, "any" // nobody is there
		default:
			continue
		}
		config.Providers = append(config.Providers, p)
	}
	config.Lookup = customers(config.RedirectURL)
	auth, err := core.New(config)
	if err != nil {
		log.Fatal(err)
	}
	login, mux := httplogin.New(auth), http.NewServeMux()
	login.Mount(mux)
	mux.Handle("GET /{$}", login.LoadUser(http.HandlerFunc(home)))
	mux.HandleFunc("GET /signin", signIn)
	mux.HandleFunc("GET /leave.js", leave)
	mux.HandleFunc("GET /mail", inbox)
	mux.Handle("/private/", login.RequireUser(http.HandlerFunc(private)))
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%s/ in a browser", listener.Addr())
	server := &http.Server{Handler: strict(mux), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

// speaks returns Pages.Language: German and Arabic for browsers that prefer them.
func speaks() func(*http.Request) (string, map[string]string) {
	german, err := os.ReadFile(os.Getenv("GERMAN"))
	if err != nil {
		log.Fatal("bad GERMAN: ", err)
	}
	languages := make(map[string]map[string]string)
	for tag, source := range map[string][]byte{"de": german, "ar": arabic} {
		var texts map[string]string
		if err := json.Unmarshal(source, &texts); err != nil {
			log.Fatal(tag, ": ", err)
		}
		languages[tag] = texts
	}
	return func(r *http.Request) (string, map[string]string) {
		tag, _, _ := strings.Cut(r.Header.Get("Accept-Language"), "-")
		return tag, languages[tag]
	}
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>entering</title>
<script src="/leave.js" defer></script>
</head>
<body>
<h1>{{.Heading}}</h1>
{{if .SignIn}}
<a href="/auth/login?provider=work&amp;return_to={{.ReturnTo}}">Sign in with Müller &amp; Söhne GmbH</a>
<a href="/auth/login?provider=home&amp;return_to={{.ReturnTo}}">Sign in with the portal</a>
<form method="post" action="/auth/login">
<input type="hidden" name="return_to" value="{{.ReturnTo}}">
<label>Work e-mail <input name="customer" autocomplete="username"></label>
<button>Next</button>
</form>
{{else}}
<p>{{.Provider}}</p>
<a href="/private/report?part=2">Report</a>
<button id="leave">Log out</button>
<form method="post" action="/private/form"><button>Send</button></form>
{{end}}
</body>
</html>
`))

type shown struct {
	Heading, Provider, ReturnTo string
	SignIn                      bool
}

func home(w http.ResponseWriter, r *http.Request) {
	heading := "Nobody"
	if user := httplogin.User(r); user != nil {
		heading = user.Name
	}
	_ = page.Execute(w, shown{Heading: heading})
}

func signIn(w http.ResponseWriter, r *http.Request) {
	_ = page.Execute(w, shown{Heading: "Sign in", SignIn: true, ReturnTo: r.FormValue("return_to")})
}

// private answers scripts with JSON.
func private(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(user)
		return
	}
	_ = page.Execute(w, shown{Heading: user.Name, Provider: user.Issuer})
}

// leave logs out by fetch.
func leave(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript")
	_, _ = w.Write([]byte(`document.querySelector('#leave')?.addEventListener('click', async () => {
  const response = await fetch('/auth/logout', { method: 'POST', headers: { Accept: 'application/json' } });
  location.assign((await response.json()).logout_url);
});
`))
}

// strict lets pages send forms only to themselves, and run only their own scripts.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; form-action 'self'")
		next.ServeHTTP(w, r)
	})
}
