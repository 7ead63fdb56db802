package adapters_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/echo5login"
	"github.com/pixyauth/pixy/adapters/echologin"
	"github.com/pixyauth/pixy/adapters/ginlogin"
	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Other cookies of the site, before pixy's.
const otherCookies = "theme=dark; _ga=GA1.2.1234567890.1234567890; csrf=0123456789abcdef; "

// claimsOfAUser returns 13 claims, about 600 bytes of JSON.
func claimsOfAUser() map[string]any {
	claims := map[string]any{"name": "Ada Lovelace", "email": "ada@example.test", "email_verified": true}
	for i := range 10 {
		claims[fmt.Sprintf("claim_%d", i)] = fmt.Sprintf("a value of thirty characters %d", i)
	}
	return claims
}

// groupIDs returns 200 UUIDs, 7.8 KB of JSON. They take two cookies when compressed.
func groupIDs() (ids []string) {
	var id [16]byte
	for range 200 {
		rand.Read(id[:])
		ids = append(ids, fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	}
	return ids
}

// guarded is a request of a logged-in user, and its floor.
type guarded struct {
	auth    *core.Authenticator
	request *http.Request
	session string         // Cookie header, without other cookies
	claims  map[string]any // of the ID token, as the provider signed it
	floor   func()
}

func newGuarded(b *testing.B, change ...func(*core.Config)) *guarded {
	b.Helper()
	return newGuardedUser(b, claimsOfAUser(), change...)
}

func newGuardedUser(b *testing.B, claims map[string]any, change ...func(*core.Config)) *guarded {
	b.Helper()
	provider := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{origin + "/auth/callback"}})
	provider.User = logintest.User{Subject: "248289761001", Claims: claims}
	g := new(guarded)
	provider.Misbehave(logintest.Faults{SignedIDToken: func(token string) string {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err == nil {
			err = json.Unmarshal(payload, &g.claims)
		}
		if err != nil {
			b.Error(err)
		}
		return token
	}})
	config := core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app"}},
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		HTTPClient:  provider.HTTPClient(),
	}
	for _, f := range change {
		f(&config)
	}
	auth, err := core.New(config)
	if err != nil {
		b.Fatal(err)
	}
	browser := logintest.NewBrowser()
	browser.Serve(issuer, provider)
	browser.Serve(origin, frameworks["httplogin"](new(app), auth))
	if page, err := browser.Get(origin + "/private"); err != nil || page.Status != http.StatusOK {
		b.Fatal(page, err)
	}
	g.auth, g.request = auth, httptest.NewRequest("GET", origin+"/private", nil)
	others := otherCookies
	for _, c := range browser.Cookies(origin + "/private") {
		switch pair := c.Name + "=" + c.Value; {
		case strings.Contains(c.Name, "pixy-session"):
			g.session = strings.TrimPrefix(g.session+"; "+pair, "; ") // the second one, if the claims are large
		case !strings.Contains(c.Name, "pixy-landed"): // which is there for a minute
			others += pair + "; "
		}
	}
	g.setCookies(others + g.session)

	floor := newFloorGuard(b)
	r := httptest.NewRequest("GET", origin+"/private", nil)
	ada := floorUser{ends: 1 << 40, issuer: issuer, subject: "248289761001", name: "Ada Lovelace", email: "ada@example.test"}
	r.Header.Set("Cookie", otherCookies+floor.name+floor.sealRecord(ada.encode()))
	if passed := floor.authenticate(r); passed == nil || *passed.Context().Value(floorKey{}).(*floorUser) != ada {
		b.Fatal("the floor refuses")
	}
	g.floor = func() { floor.authenticate(r) }
	return g
}

func (g *guarded) setCookies(header string) { g.request.Header.Set("Cookie", header) }

// requests returns a function that lets handler serve the request, and fails if the
// status is not want.
func (g *guarded) requests(b *testing.B, handler http.Handler, want int) func() {
	w := &nobody{header: make(http.Header)}
	return func() {
		clear(w.header)
		w.status = http.StatusOK
		handler.ServeHTTP(w, g.request)
		if w.status != want {
			b.Fatalf("got %d, want %d", w.status, want)
		}
	}
}

// nobody is a ResponseWriter that discards the response.
type nobody struct {
	header http.Header
	status int
	_      [128]byte // keeps the writers of two cores out of one cache line
}

func (w *nobody) Header() http.Header         { return w.header }
func (w *nobody) Write(b []byte) (int, error) { return len(b), nil }
func (w *nobody) WriteHeader(status int)      { w.status = status }

// guards serve /private to users, without writing anything.
var guards = map[string]func(*core.Authenticator) http.Handler{
	"nethttp": func(auth *core.Authenticator) http.Handler {
		return httplogin.New(auth).RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			mustHaveUser(httplogin.User(r))
		}))
	},
	"gin": func(auth *core.Authenticator) http.Handler {
		router := gin.New()
		router.GET("/private", ginlogin.New(auth).RequireUser, func(c *gin.Context) { mustHaveUser(ginlogin.User(c)) })
		return router
	},
	"echo": func(auth *core.Authenticator) http.Handler {
		router := echo4.New()
		router.GET("/private", func(c echo4.Context) error { mustHaveUser(echologin.User(c)); return nil }, echologin.New(auth).RequireUser)
		return router
	},
	"echo5": func(auth *core.Authenticator) http.Handler {
		router := echo5.New()
		router.GET("/private", func(c *echo5.Context) error { mustHaveUser(echo5login.User(c)); return nil }, echo5login.New(auth).RequireUser)
		return router
	},
}

func mustHaveUser(user *core.User) {
	if user.Subject == "" {
		panic("nobody")
	}
}

// The code that runs on every request of every user.
func BenchmarkGuard(b *testing.B) {
	g := newGuarded(b)
	for _, name := range []string{"nethttp", "gin", "echo", "echo5"} {
		b.Run(name, func(b *testing.B) {
			compare(b, g.floor, g.requests(b, guards[name](g.auth), http.StatusOK))
		})
	}
	b.Run("claims asked for", func(b *testing.B) {
		handler := httplogin.New(g.auth).RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var claims map[string]any
			if err := httplogin.User(r).Claims(&claims); err != nil || len(claims) < 13 {
				b.Fatal(len(claims), err)
			}
		}))
		compare(b, g.floor, g.requests(b, handler, http.StatusOK))
	})
	b.Run("one claim asked for", func(b *testing.B) {
		handler := httplogin.New(g.auth).RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if !httplogin.User(r).Has("claim_9", "a value of thirty characters 9") {
				b.Fatal("the user has not the claim")
			}
		}))
		compare(b, g.floor, g.requests(b, handler, http.StatusOK))
	})
	groups := groupIDs()
	large := newGuardedUser(b, map[string]any{"name": "Ada Lovelace", "email": "ada@example.test", "groups": groups})
	b.Run("large claims, not asked for", func(b *testing.B) {
		compare(b, large.floor, large.requests(b, guards["nethttp"](large.auth), http.StatusOK))
	})
	b.Run("large claims, one asked for", func(b *testing.B) {
		handler := httplogin.New(large.auth).RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if !httplogin.User(r).Has("groups", groups[100]) {
				b.Fatal("the user has not the group")
			}
		}))
		compare(b, large.floor, large.requests(b, handler, http.StatusOK))
	})
	b.Run("two cores", func(b *testing.B) {
		handler := guards["nethttp"](g.auth)
		speedup(b, func() func() { return g.floor }, func() func() { return g.requests(b, handler, http.StatusOK) })
	})
}

// Rejected requests, as multiples of an accepted one: forged requests must not cost more.
func BenchmarkRefusal(b *testing.B) {
	g := newGuarded(b)
	handler := guards["nethttp"](g.auth)
	passes := g.requests(b, handler, http.StatusOK)
	foreign := newGuarded(b, func(c *core.Config) { c.SessionKey = []byte("another key of thirty-two bytes!") })
	middle := len(g.session) / 2
	for name, session := range map[string]string{
		"stranger":        "",
		"tampered with":   g.session[:middle] + "AAAA" + g.session[middle+4:],
		"of another key":  foreign.session,
		"large and void":  "__Host-pixy-session=1" + strings.Repeat("A", 4000),
		"twice":           g.session + "; " + g.session,
		"without an end":  "__Host-pixy-session=2" + strings.Repeat("A", 3000),
		"parts that lack": strings.Replace(g.session, "=1", "=2", 1),
	} {
		b.Run(name, func(b *testing.B) {
			refused := *g
			refused.request = g.request.Clone(b.Context())
			refused.setCookies(otherCookies + session)
			authenticate := refused.refusals(b)
			compare(b, passes, authenticate)
		})
	}
}

// refusals authenticates the request, and fails if it succeeds. The application's response
// is not measured.
func (g *guarded) refusals(b *testing.B) func() {
	w := &nobody{header: make(http.Header)}
	return func() {
		clear(w.header)
		if _, err := g.auth.Authenticate(w, g.request); !errors.Is(err, core.ErrNoSession) {
			b.Fatal("passes")
		}
	}
}

// The cost of a request must not depend on what it does not use. Each row is a multiple of
// the plain guarded request.
func BenchmarkScale(b *testing.B) {
	g := newGuarded(b)
	plain := g.requests(b, guards["nethttp"](g.auth), http.StatusOK)
	b.Run("one claim asked for", func(b *testing.B) {
		handler := httplogin.New(g.auth).RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if !httplogin.User(r).Has("claim_9", "a value of thirty characters 9") {
				b.Fatal("the user has not the claim")
			}
		}))
		compare(b, plain, g.requests(b, handler, http.StatusOK))
	})
	b.Run("one claim asked for by Allow", func(b *testing.B) {
		need := core.Requirement{Allow: func(u *core.User) bool { return u.Has("claim_9", "a value of thirty characters 9") }}
		handler := httplogin.New(g.auth).Require(need)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			mustHaveUser(httplogin.User(r))
		}))
		compare(b, plain, g.requests(b, handler, http.StatusOK))
	})
	b.Run("tokens kept and not needed", func(b *testing.B) {
		keeping := newKeeping(b)
		compare(b, plain, keeping.requests(b, guards["nethttp"](keeping.auth), http.StatusOK))
	})
	for _, keys := range []int{1, 8} {
		b.Run(fmt.Sprintf("%d old keys, sealed by the oldest", keys), func(b *testing.B) {
			old := [][]byte{[]byte("0123456789abcdef0123456789abcdef")}
			for i := 1; i < keys; i++ {
				old = append([][]byte{fmt.Appendf(nil, "old session key number %d of many more", i)}, old...)
			}
			rotated := newGuarded(b, func(c *core.Config) {
				c.SessionKey, c.Sessions.OldKeys = []byte("the session key of thirty-two bytes"), old
			})
			rotated.request = g.request
			compare(b, plain, rotated.requests(b, guards["nethttp"](rotated.auth), http.StatusOK))
		})
	}
}

// A session in a gorilla store costs little more than the store itself. The store here keeps
// gob in memory, under an id in a signed cookie.
func BenchmarkGorillaStore(b *testing.B) {
	store := newGobStore()
	g := newGuarded(b, func(c *core.Config) { c.Sessions.Store = store })
	compare(b, func() {
		if session, err := store.New(g.request, "__Host-pixy-session"); err != nil || session.IsNew {
			b.Fatal(err)
		}
	}, g.requests(b, guards["nethttp"](g.auth), http.StatusOK))
}

// Gorilla's cookie session as tutorials use it, as a multiple of pixy's: with the ID token's
// claims as a profile, and with the access token as well, compared with pixy with tokens.
func BenchmarkTutorialSession(b *testing.B) {
	g := newGuarded(b)
	for name, test := range map[string]struct {
		pixy   *guarded
		values map[any]any
	}{
		"profile":           {g, map[any]any{"profile": g.claims}},
		"profile and token": {newKeeping(b), map[any]any{"profile": g.claims, "access_token": strings.Repeat(rand.Text(), 40)[:800]}},
	} {
		b.Run(name, func(b *testing.B) {
			compare(b, test.pixy.requests(b, guards["nethttp"](test.pixy.auth), http.StatusOK), tutorialRequest(b, test.values))
		})
	}
}

// tutorialRequest opens a session with values.
func tutorialRequest(b *testing.B, values map[any]any) func() {
	b.Helper()
	gob.Register(map[string]any{})
	key := []byte("0123456789abcdef0123456789abcdef")
	store := sessions.NewCookieStore(key, key)
	request := httptest.NewRequest("GET", origin+"/private", nil)
	w := httptest.NewRecorder()
	session, err := store.New(request, "session")
	if err == nil {
		session.Values = values
		err = session.Save(request, w)
	}
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Cookie", otherCookies+strings.Split(w.Header().Get("Set-Cookie"), ";")[0])
	return func() {
		session, err := store.Get(request.WithContext(context.Background()), "session")
		if err != nil || session.Values["profile"].(map[string]any)["name"] != "Ada Lovelace" {
			b.Fatal(err)
		}
	}
}

// gobStore is a gorilla store like those for servers, but in memory.
type gobStore struct {
	codec  securecookie.Codec
	mu     sync.RWMutex
	values map[string][]byte
}

func newGobStore() *gobStore {
	return &gobStore{codec: securecookie.New([]byte("store-key"), nil), values: make(map[string][]byte)}
}

func (s *gobStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

func (s *gobStore) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	session.IsNew = true
	cookie, err := r.Cookie(name)
	if err != nil {
		return session, nil
	}
	if err := s.codec.Decode(name, cookie.Value, &session.ID); err != nil {
		return session, err
	}
	s.mu.RLock()
	value, ok := s.values[session.ID]
	s.mu.RUnlock()
	if !ok {
		return session, nil
	}
	session.IsNew = false
	return session, gob.NewDecoder(bytes.NewReader(value)).Decode(&session.Values)
}

func (s *gobStore) Save(_ *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	session.ID = rand.Text()
	var value bytes.Buffer
	if err := gob.NewEncoder(&value).Encode(session.Values); err != nil {
		return err
	}
	s.mu.Lock()
	s.values[session.ID] = value.Bytes()
	s.mu.Unlock()
	encoded, err := s.codec.Encode(session.Name(), session.ID)
	http.SetCookie(w, sessions.NewCookie(session.Name(), encoded, session.Options))
	return err
}
