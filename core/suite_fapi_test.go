package core_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A fapiVariant is a variant of the Foundation's FAPI 2.0 plans. The zero value is
// private_key_jwt, dpop, oidc, simple, unsigned and plain_response.
type fapiVariant struct {
	certificate bool // client_auth_type is mtls
	bound       bool // sender_constrain is mtls
	plain       bool // fapi_client_type is plain_oauth
	rar         bool // authorization_request_type is rar
	jar         bool // fapi_request_method is signed_non_repudiation
	jarm        bool // fapi_response_mode is jarm
}

func (v fapiVariant) String() string {
	names := []string{"private_key_jwt"}
	for _, option := range []struct {
		set     bool
		yes, no string
	}{
		{v.bound, "mtls", "dpop"}, {v.plain, "plain_oauth", "oidc"}, {v.rar, "rar", ""},
		{v.jar, "signed_non_repudiation", ""}, {v.jarm, "jarm", ""},
	} {
		if name := map[bool]string{true: option.yes, false: option.no}[option.set]; name != "" {
			names = append(names, name)
		}
	}
	if v.certificate {
		names[0] = "mtls"
	}
	return strings.Join(names, " ")
}

// fapiVariants are all variants of the Security Profile's plan, and of the plan of
// Message Signing.
func fapiVariants(signing bool) (all []fapiVariant) {
	for bits := range 64 {
		bit := func(n int) bool { return bits>>n&1 == 1 }
		v := fapiVariant{bit(0), bit(1), bit(2), bit(3), bit(4), bit(5)}
		if signing == (v.jar || v.jarm) {
			all = append(all, v)
		}
	}
	return all
}

const fapiDetails = `[{"type":"account_information","actions":["list_accounts"]}]`

// A fapiSuite is the rig of one login in the suite: its provider listens on two ports,
// of which one asks for the client's certificate.
type fapiSuite struct {
	*rig
	fapiVariant
	issuer, baseURL, aliasURL string
	base, alias               *httptest.Server
	accounts                  atomic.Int32 // requests that the API has answered
}

// newFAPISuite is the suite's provider and a client of it, both as the variant says.
func newFAPISuite(t *testing.T, v fapiVariant, nonces bool) *fapiSuite {
	t.Helper()
	s := &fapiSuite{rig: &rig{t: t, browser: logintest.NewBrowser()}, fapiVariant: v}
	keys := fapiKeys()
	s.base, s.alias = httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	s.baseURL, s.aliasURL = "https://"+s.base.Listener.Addr().String(), "https://"+s.alias.Listener.Addr().String()
	s.issuer = s.baseURL + "/test/a/pixy/"
	s.provider = logintest.NewProvider(s.issuer, s.client(keys, nonces))
	s.provider.Now, s.provider.MTLSOrigin = s.now, s.aliasURL
	protected := s.provider.Protect(http.HandlerFunc(s.serveAccounts))
	for _, server := range []*httptest.Server{s.base, s.alias} {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{keys.server}}
		if server == s.alias {
			server.TLS.ClientAuth = tls.RequestClientCert
		}
		server.Config.Handler = s.port(server == s.alias, protected)
		server.StartTLS()
		t.Cleanup(server.Close)
	}
	roots := x509.NewCertPool()
	roots.AddCert(keys.server.Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	s.browser.Transport = transport
	s.auth = s.newAuth(func(c *core.Config) {
		c.HTTPClient = &http.Client{Transport: transport}
		c.Tokens.Keep = true
		s.configure(&c.Providers[0], keys)
	})
	s.browser.Serve(origin, s.app(s.auth))
	s.handle("/accounts", s.showAccounts)
	return s
}

// configure makes the application's side of the variant.
func (s *fapiSuite) configure(p *core.Provider, keys *fapiKeySet) {
	*p = core.Provider{Issuer: s.issuer, ClientID: "app", FAPI2: true, Scopes: []string{"openid", "accounts"}}
	if s.plain {
		p.Scopes = []string{"accounts"}
		p.FetchUser = s.fetchAccounts
	}
	if !s.certificate || s.jar {
		p.Client.SigningKeys = []core.SigningKey{{Signer: keys.client}}
	}
	if s.certificate {
		p.Client.AuthMethod = "tls_client_auth"
	}
	if s.certificate || s.bound {
		p.Client.Certificate = func() (*tls.Certificate, error) { return &keys.certificate, nil }
	}
	if s.rar {
		p.Requests.AuthorizationDetails = fapiDetails
	}
	p.Client.DPoP, p.Requests.SignedRequest, p.Requests.SignedResponse = !s.bound, s.jar, s.jarm
}

// client is the registration at the suite.
func (s *fapiSuite) client(keys *fapiKeySet, nonces bool) logintest.Client {
	c := logintest.Client{
		ID: "app", RedirectURIs: []string{callbackURL}, FAPI2: true, AuthMethod: "private_key_jwt", Keys: keys.published,
		Scope: "openid accounts", CertificateBound: s.bound, DPoPNonces: !s.bound && nonces,
		RequireSignedRequest: s.jar, RequireSignedResponse: s.jarm,
	}
	if s.certificate {
		c.AuthMethod, c.Certificates, c.SigningAlg = "tls_client_auth", []*x509.Certificate{keys.certificate.Leaf}, "PS256"
	}
	if s.plain {
		c.Scope = "accounts"
	}
	if s.rar {
		c.AuthorizationDetailsTypes = []string{"account_information"}
	}
	return c
}

// metadata removes what the suite does not publish for the variant.
func (s *fapiSuite) metadata(m map[string]any) {
	if s.bound {
		delete(m, "dpop_signing_alg_values_supported")
	}
	if s.plain {
		delete(m, "userinfo_endpoint")
		delete(m, "id_token_signing_alg_values_supported")
	}
	if s.plain && !s.jarm {
		delete(m, "jwks_uri")
	}
}

// port serves one of the two ports. As in the suite, what needs the client's certificate
// is on the one that asks for it, and accounts are on the one of the variant only.
func (s *fapiSuite) port(alias bool, accounts http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		endpoint := strings.TrimPrefix(r.URL.Path, "/test/a/pixy")
		strange := r.TLS.Version < tls.VersionTLS12
		switch endpoint {
		case "/accounts":
			strange = strange || alias != s.bound
		case "/par":
			strange = strange || s.certificate && !alias
		case "/token":
			strange = strange || (s.certificate || s.bound) && !alias
		default:
			strange = strange || alias
		}
		if strange {
			s.t.Errorf("%s %s on the wrong port", r.Method, r.URL.Path)
		}
		if endpoint == "/accounts" {
			accounts.ServeHTTP(w, r)
			return
		}
		s.provider.ServeHTTP(w, r)
	})
}

func (s *fapiSuite) serveAccounts(w http.ResponseWriter, r *http.Request) {
	s.accounts.Add(1)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"accounts":["of ada"]}`)
}

func (s *fapiSuite) accountsURL() string {
	at := s.baseURL
	if s.bound {
		at = s.aliasURL
	}
	return at + "/test/a/pixy/accounts"
}

// fetchAccounts is FetchUser of plain OAuth, where the accounts are all that there is.
func (s *fapiSuite) fetchAccounts(ctx context.Context, client *http.Client) (map[string]any, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", s.accountsURL(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var got struct{ Accounts []string }
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the accounts answered %s", response.Status)
	}
	return map[string]any{"sub": "ada"}, nil
}

// showAccounts is a page that shows the user's accounts, in which the suite's tests end.
func (s *fapiSuite) showAccounts(w http.ResponseWriter, r *http.Request) error {
	authenticated, err := s.auth.Authenticate(w, r)
	if err != nil {
		return err
	}
	at, err := url.Parse(s.accountsURL())
	if err != nil {
		return err
	}
	response, err := core.Client(authenticated.Context(), at.Host).Get(at.String())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	w.WriteHeader(response.StatusCode)
	_, err = io.Copy(w, response.Body)
	return err
}
