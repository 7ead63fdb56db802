package logintest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Provider is an OpenID provider. It is an [http.Handler] that serves its
// issuer's origin: in memory through [Provider.HTTPClient] and [Browser.Serve],
// or on a real listener. Create it with [NewProvider] and set its fields before
// the first request. After that, it is safe for concurrent use.
type Provider struct {
	// User is the user who logs in when Authenticate is nil. You can change it
	// between logins, but not during a login. Zero: Ada Lovelace.
	User User

	// Authenticate returns the user who logs in. It is called after the
	// authorization request has been validated. It may also write a response,
	// such as a form that posts back to the same URL, and return false. Nil:
	// User logs in at once.
	Authenticate func(w http.ResponseWriter, r *http.Request) (user User, ok bool)

	// Current returns the user who is logged in at the provider in the browser
	// of the request. It is called instead of Authenticate for prompt=none, which
	// fails if there is no such user, or if AuthTime is older than max_age. Nil:
	// with Authenticate, prompt=none always fails.
	Current func(r *http.Request) (user User, ok bool)

	// Page writes a page that a user sees: an error, or the end of a logout.
	// The title is text, and the body is HTML. Nil: plain pages.
	Page func(w http.ResponseWriter, status int, title, body string)

	// Now is the provider's clock. Nil: time.Now.
	Now func() time.Time

	// AccessTokenLifetime is how long access tokens are valid. Zero: one hour.
	AccessTokenLifetime time.Duration

	// AccessTokenBytes is the length of access tokens, for tests with large
	// tokens. Less than 26, including zero: 26.
	AccessTokenBytes int

	// Outbound is the client that notifies applications of a logout (see
	// [Client]). Nil: no notification.
	Outbound *http.Client

	// MTLSOrigin is the origin of the endpoints for clients with certificates
	// (mtls_endpoint_aliases, RFC 8705 section 5), such as
	// https://mtls.example.test. Empty: that of the issuer.
	MTLSOrigin string

	issuer  string
	path    string   // of the issuer, without a trailing slash
	network *network // that HTTPClient reaches; nil: this provider only
	clients map[string]Client
	secret  []byte // of the DPoP nonces

	mu       sync.Mutex
	faults   Faults
	keys     []*signingKeys // the last one signs
	codes    map[string]*grant
	tokens   map[string]*token                // access and refresh tokens
	sessions map[string]*session              // by sid
	pushed   map[string]*authorizationRequest // by request_uri
	seen     map[string]time.Time             // when what may occur once expires, such as a jti
	pruneAt  int                              // the number of entries at which prune runs
	requests []Request
	counts   map[Endpoint]int

	refreshes, reused int
}

// User is a user of a Provider. Claims have their standard names (OpenID
// Connect Core section 5.1). The provider sends name, picture and other profile
// claims for scope profile, email and email_verified for scope email, and all
// other claims always.
type User struct {
	Subject string
	Claims  map[string]any

	// AuthTime is when the user last authenticated at the provider. For
	// prompt=login, or for a max_age that is exceeded, Provider.User
	// authenticates again at that moment. The result of Authenticate is used as
	// it is; Authenticate can check the request itself. Zero: each login
	// authenticates the user.
	AuthTime time.Time

	// SessionID is the user's session at the provider: the claim sid of ID
	// tokens (OpenID Connect Back-Channel Logout section 2.1). All logins with
	// the same SessionID end together. Empty: a new one for each login.
	SessionID string

	// ACR lists the authentication context classes of the user. The claim acr
	// is the first of the request's acr_values that is in the list, or else the
	// first of the list. Nil: no claim acr.
	ACR []string
}

// Endpoint is the path of an endpoint, below the issuer.
type Endpoint string

// The endpoints of a Provider.
const (
	Discovery     Endpoint = "/.well-known/openid-configuration"
	Authorization Endpoint = "/authorize"
	Token         Endpoint = "/token"
	JWKS          Endpoint = "/jwks"
	UserInfo      Endpoint = "/userinfo"
	EndSession    Endpoint = "/end-session"
	Revocation    Endpoint = "/revoke"
	PAR           Endpoint = "/par"
)

// oauth2Metadata is a second path of the metadata (RFC 8414 section 3.1).
const oauth2Metadata = "/.well-known/oauth-authorization-server"

// Request is a request that an endpoint received. It contains the secrets that
// were sent.
type Request struct {
	Endpoint Endpoint
	Method   string
	Header   http.Header
	Query    url.Values
	Form     url.Values // of the body
}

// maxRequests limits the requests that a provider remembers, because it may run
// for days.
const maxRequests = 4096

// NewProvider returns a provider with exactly this issuer and these clients. It
// panics if a client cannot be registered, such as one with malformed Keys.
func NewProvider(issuer string, clients ...Client) *Provider {
	p := &Provider{
		issuer:  issuer,
		clients: make(map[string]Client),
		codes:   make(map[string]*grant),
		tokens:  make(map[string]*token),
		counts:  make(map[Endpoint]int),

		sessions: make(map[string]*session),
		pushed:   make(map[string]*authorizationRequest),
		seen:     make(map[string]time.Time),
		secret:   []byte(rand.Text()),
	}
	if u, err := url.Parse(issuer); err == nil {
		p.path = strings.TrimSuffix(u.Path, "/")
	}
	for _, client := range clients {
		p.clients[client.ID] = client.registered()
	}
	p.RotateKeys()
	return p
}

// Issuer returns the provider's identifier.
func (p *Provider) Issuer() string { return p.issuer }

// url returns the URL of an endpoint.
func (p *Provider) url(e Endpoint) string { return strings.TrimSuffix(p.issuer, "/") + string(e) }

func (p *Provider) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// ServeHTTP serves all endpoints, below the issuer's path.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, p.path)
	endpoint := Endpoint(path)
	if r.URL.Path == oauth2Metadata+p.path {
		endpoint, ok = Discovery, true
	}
	handle := map[Endpoint]http.HandlerFunc{
		Discovery:     p.serveDiscovery,
		Authorization: p.serveAuthorization,
		Token:         p.serveToken,
		JWKS:          p.serveJWKS,
		UserInfo:      p.serveUserInfo,
		EndSession:    p.serveEndSession,
		Revocation:    p.serveRevocation,
		PAR:           p.servePAR,
	}[endpoint]
	if !ok || handle == nil {
		http.NotFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "malformed request", http.StatusBadRequest)
		return
	}
	faults := p.record(endpoint, r)
	if faults.Intercept != nil && faults.Intercept(endpoint, w, r) {
		return
	}
	handle(p.editHeader(endpoint, w), r)
}

// record remembers a request, and returns the faults that apply to it.
func (p *Provider) record(e Endpoint, r *http.Request) Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[e]++
	if len(p.requests) == maxRequests {
		p.requests = append(p.requests[:0], p.requests[maxRequests/2:]...)
	}
	p.requests = append(p.requests, Request{
		Endpoint: e, Method: r.Method, Header: r.Header.Clone(),
		Query: r.URL.Query(), Form: cloneValues(r.PostForm),
	})
	return p.faults
}

// Requests returns the requests that the provider received, oldest first. It
// returns at most the last few thousand.
func (p *Provider) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.requests...)
}

// forget removes the requests that Requests returns.
func (p *Provider) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

// Count returns how many requests an endpoint received. For most attacks, the
// proof of failure is that no request arrived.
func (p *Provider) Count(e Endpoint) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[e]
}

// total returns how many requests all endpoints received.
func (p *Provider) total() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, count := range p.counts {
		n += count
	}
	return n
}

func cloneValues(values url.Values) url.Values {
	clone := make(url.Values, len(values))
	for name, v := range values {
		clone[name] = append([]string(nil), v...)
	}
	return clone
}

// repeated returns the name of a parameter that occurs twice. Only resource may
// (RFC 6749 section 3.1, RFC 8707 section 2).
func repeated(values url.Values) (string, bool) {
	for name, v := range values {
		if len(v) > 1 && name != "resource" {
			return name, true
		}
	}
	return "", false
}
