package logintest

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Provider is an OpenID provider. It is an [http.Handler] that serves its
// issuer's origin, in memory through [Provider.HTTPClient] and [Browser.Serve],
// or on a real listener. Make one with [NewProvider] and set its fields before
// its first use; from then on it is safe for concurrent use.
type Provider struct {
	// User logs in when Authenticate is nil. Zero: Ada Lovelace. It may be
	// changed between logins, not during one.
	User User

	// Authenticate is asked who is logging in, once the authorization request has
	// been found valid. It may answer itself, for example with a form that posts
	// back to the same URL, and return false. Nil: User logs in at once.
	Authenticate func(w http.ResponseWriter, r *http.Request) (user User, ok bool)

	// Now is the provider's clock. Nil: time.Now.
	Now func() time.Time

	// AccessTokenLifetime is how long access tokens work. Zero: one hour.
	AccessTokenLifetime time.Duration

	// AccessTokenBytes is the length of access tokens, for tests of what becomes of
	// large ones. Zero, and whatever is too short to be secret: 26.
	AccessTokenBytes int

	// Outbound is what the provider calls applications by, to tell them of a logout
	// (see [Client]). Nil: it calls nobody.
	Outbound *http.Client

	issuer  string
	path    string // of the issuer, without a final slash
	clients map[string]Client

	mu       sync.Mutex
	faults   Faults
	keys     []*signingKeys // the last one signs
	codes    map[string]*grant
	tokens   map[string]*token   // access and refresh tokens
	sessions map[string]*session // by sid
	pruneAt  int                 // so many codes, tokens and sessions
	requests []Request
	counts   map[Endpoint]int

	refreshes, reused int
}

// User is somebody whom a Provider knows. Claims go by their standard names
// (OpenID Connect Core section 5.1): name, picture and the like are given for
// scope profile, email and email_verified for scope email, and all others always.
type User struct {
	Subject string
	Claims  map[string]any

	// AuthTime is when the user last authenticated here. A login that asks for
	// prompt=login, or for a max_age that this is before, makes Provider.User
	// authenticate anew, now; what Authenticate returns is believed, and it may
	// look at the request. Zero: now, at every login.
	AuthTime time.Time

	// SessionID is the user's session at the provider, which ID tokens name in claim
	// sid (OpenID Connect Back-Channel Logout section 2.1): all logins with the same
	// one end together. Zero: a new one for each login.
	SessionID string

	// ACR are the authentication context classes by which the user can
	// authenticate. A login is given the first of its acr_values that is among
	// them, and else the first of them, in claim acr. Nil: the claim is absent.
	ACR []string
}

// Client is an application that a Provider knows. URIs are compared to the byte.
type Client struct {
	ID                     string
	Secret                 string // empty: a public client
	RedirectURIs           []string
	PostLogoutRedirectURIs []string

	// BackChannelLogoutURI is where the provider posts a logout token to, by its
	// Outbound, when a session ends in which the client has a login (OpenID Connect
	// Back-Channel Logout section 2.5). Empty: nowhere.
	BackChannelLogoutURI string

	// FrontChannelLogoutURI is what the provider's page opens in an iframe then, with
	// iss and sid (OpenID Connect Front-Channel Logout section 2). Empty: nothing.
	FrontChannelLogoutURI string
}

// Endpoint is a place that a Provider serves.
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
)

// oauth2Metadata is where the metadata is, too (RFC 8414 section 3.1).
const oauth2Metadata = "/.well-known/oauth-authorization-server"

// Request is what an endpoint received. It holds whatever secrets were sent.
type Request struct {
	Endpoint Endpoint
	Method   string
	Header   http.Header
	Query    url.Values
	Form     url.Values // of the body
}

// maxRequests bounds what a provider remembers, for one that runs for days.
const maxRequests = 4096

// NewProvider returns a provider that calls itself issuer, to the byte, and
// knows the clients.
func NewProvider(issuer string, clients ...Client) *Provider {
	p := &Provider{
		issuer:  issuer,
		clients: make(map[string]Client),
		codes:   make(map[string]*grant),
		tokens:  make(map[string]*token),
		counts:  make(map[Endpoint]int),

		sessions: make(map[string]*session),
	}
	if u, err := url.Parse(issuer); err == nil {
		p.path = strings.TrimSuffix(u.Path, "/")
	}
	for _, client := range clients {
		p.clients[client.ID] = client
	}
	p.RotateKeys()
	return p
}

// Issuer returns the provider's identifier.
func (p *Provider) Issuer() string { return p.issuer }

// url is the address of an endpoint.
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
	handle(w, r)
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

// Requests returns what the provider has received, oldest first: the last few
// thousand requests at most.
func (p *Provider) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.requests...)
}

// forget drops what Requests returns.
func (p *Provider) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

// Count returns how many requests an endpoint has received. Most attacks are
// shown to fail by a request that did not come.
func (p *Provider) Count(e Endpoint) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[e]
}

func cloneValues(values url.Values) url.Values {
	clone := make(url.Values, len(values))
	for name, v := range values {
		clone[name] = append([]string(nil), v...)
	}
	return clone
}

// repeated returns the name of a parameter that occurs twice, which none may
// (RFC 6749 section 3.1) but resource (RFC 8707 section 2).
func repeated(values url.Values) (string, bool) {
	for name, v := range values {
		if len(v) > 1 && name != "resource" {
			return name, true
		}
	}
	return "", false
}
