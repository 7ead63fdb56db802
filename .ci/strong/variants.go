package main

import (
	"crypto/x509"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
)

type object = map[string]any

// A variant is one kind of client.
type variant struct {
	name         string                                    // the client id
	servers      []string                                  // nil: all
	fapi         bool                                      // FAPI 2.0
	alg          string                                    // of the client's signing key; empty: ES256
	selfSigned   bool                                      // the client certificate
	resource     bool                                      // the API is that of the details
	mtls         bool                                      // tokens are bound to the certificate
	registration func(*application) object                 // client metadata (RFC 7591) beyond the common
	configure    func(p *core.Provider, a *application)    // the application
	check        func(g core.Grant, callback string) error // of each login; nil: none

	// The weak application: what it lacks, and a pattern of what it logs then.
	without string
	weaken  func(weak *core.Provider, client *application) // nil: there is no weak application
	refusal string
}

func (v *variant) possible(server string) bool {
	return v.servers == nil || slices.Contains(v.servers, server)
}

func variants() []*variant {
	return append(append(authenticated(), requested()...), profiled()...)
}

// authenticated are the ways to authenticate.
func authenticated() []*variant {
	return []*variant{
		{
			name: "private_key_jwt", registration: byKey, configure: withKey,
			without: "with a key that is not in the JWK set of the client", weaken: same, refusal: "client_refused",
		},
		{
			name: "private_key_jwt-PS256", alg: "PS256", registration: byKey, configure: withKey,
			without: "with the id of a key that has been replaced",
			weaken:  func(p *core.Provider, client *application) { p.Client.SigningKeys[0].KeyID = "replaced" }, refusal: "client_refused",
		},
		{
			name: "client_secret_jwt",
			registration: func(a *application) object {
				return object{"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "HS256", "client_secret": a.secret}
			},
			configure: func(p *core.Provider, a *application) {
				p.ClientSecret, p.Client.AuthMethod = a.secret, "client_secret_jwt"
			},
			without: "with another secret", weaken: func(p *core.Provider, client *application) { p.ClientSecret += "2" }, refusal: "client_refused",
		},
		{
			name: "tls_client_auth", mtls: true,
			registration: func(a *application) object {
				return object{
					"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": a.certificate.Leaf.DNSNames[0],
					"tls_client_certificate_bound_access_tokens": true,
				}
			},
			configure: withCertificate,
			without:   "with a certificate for another name", weaken: renamed, refusal: "client_refused",
		},
		{
			name: "self_signed_tls_client_auth", servers: []string{"oidc-provider"}, mtls: true, selfSigned: true,
			registration: func(a *application) object {
				leaf := a.certificate.Leaf
				return object{
					"token_endpoint_auth_method": "self_signed_tls_client_auth",
					"jwks":                       jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: leaf.PublicKey, Certificates: []*x509.Certificate{leaf}}}},
					"tls_client_certificate_bound_access_tokens": true,
				}
			},
			configure: func(p *core.Provider, a *application) {
				withCertificate(p, a)
				p.Client.AuthMethod = "self_signed_tls_client_auth"
			},
			without: "with a certificate that is not registered", weaken: same, refusal: "client_refused",
		},
	}
}

// requested are the ways to ask and to answer. The clients have secrets.
func requested() []*variant {
	jar := func(name, alg string, more func(*core.Provider)) *variant {
		return &variant{
			name: name, alg: alg,
			registration: and(bySecret, func(a *application) object {
				return object{"require_signed_request_object": true, "request_object_signing_alg": alg, "jwks_uri": a.url + "/auth/jwks"}
			}),
			configure: func(p *core.Provider, a *application) {
				withKey(p, a)
				withSecret(p, a)
				p.Requests.SignedRequest = true
				more(p)
			},
			without: "with a request that is not signed",
			weaken: func(p *core.Provider, client *application) {
				p.Requests.SignedRequest = false
			}, refusal: "(provider|request)_refused.*equest|Invalid Request",
		}
	}
	jarm := func(name string, more func(*core.Provider)) *variant {
		return &variant{
			name:         name,
			registration: and(bySecret, func(*application) object { return object{"authorization_signed_response_alg": "ES256"} }),
			configure: func(p *core.Provider, a *application) {
				withSecret(p, a)
				p.Requests.SignedResponse = true
				more(p)
			},
			check: func(_ core.Grant, callback string) error {
				if !strings.HasPrefix(callback, "response=") {
					return errors.New("the callback is not signed")
				}
				return nil
			},
		}
	}
	const payment = `[{"type":"payment","amount":"5.00"}]`
	return []*variant{
		{
			name:         "PAR",
			registration: and(bySecret, func(*application) object { return object{"require_pushed_authorization_requests": true} }),
			configure: func(p *core.Provider, a *application) {
				withSecret(p, a)
				p.Requests.PAR = true
			},
			without: "with a request that is not pushed",
			weaken:  func(p *core.Provider, client *application) { p.Requests.PAR = false }, refusal: "provider_refused.*ushed",
		},
		{
			name:         "DPoP",
			registration: and(bySecret, func(*application) object { return object{"dpop_bound_access_tokens": true} }),
			configure: func(p *core.Provider, a *application) {
				withSecret(p, a)
				p.Client.DPoP = true
			},
			without: "with no proof", weaken: func(p *core.Provider, client *application) { p.Client.DPoP = false }, refusal: "code_refused|DPoP",
		},
		jar("JAR", "ES256", func(*core.Provider) {}),
		jar("JAR-PAR", "EdDSA", func(p *core.Provider) { p.Requests.PAR = true }),
		jarm("JARM-query.jwt", func(*core.Provider) {}),
		jarm("JARM-form_post.jwt", func(p *core.Provider) { p.Requests.FormPost = true }),
		{
			name: "encrypted-ID-tokens",
			registration: and(bySecret, func(a *application) object {
				return object{
					"jwks_uri":                        a.url + "/auth/jwks",
					"id_token_encrypted_response_alg": "RSA-OAEP-256", "id_token_encrypted_response_enc": "A256GCM",
					"userinfo_signed_response_alg":    "ES256",
					"userinfo_encrypted_response_alg": "ECDH-ES+A256KW", "userinfo_encrypted_response_enc": "A128CBC-HS256",
				}
			}),
			configure: func(p *core.Provider, a *application) {
				withSecret(p, a)
				p.Client.DecryptionKeys = a.decryption
			},
			without: "without the keys to decrypt",
			weaken:  func(p *core.Provider, client *application) { p.Client.DecryptionKeys = nil }, refusal: "id_token_untrusted",
		},
		{
			name: "authorization_details", servers: []string{"oidc-provider"}, resource: true,
			registration: and(bySecret, func(*application) object { return object{"authorization_details_types": []string{"payment"}} }),
			configure: func(p *core.Provider, a *application) {
				withSecret(p, a)
				p.Requests.AuthorizationDetails = payment
				p.Requests.AuthParams = url.Values{"resource": {p.Issuer + "/resource"}}
				p.Requests.UserInfo = false // it is another resource
			},
			check: func(g core.Grant, _ string) error {
				if !strings.Contains(g.AuthorizationDetails, `"5.00"`) {
					return errors.New("the grant has the details " + g.AuthorizationDetails)
				}
				return nil
			},
			without: "with details of a type that the client may not ask for",
			weaken: func(p *core.Provider, client *application) {
				p.Requests.AuthorizationDetails = strings.ReplaceAll(payment, "payment", "transfer")
			}, refusal: "authorization_details",
		},
	}
}

// profiled are the variants of FAPI 2.0. A weak application is none of FAPI.
func profiled() []*variant {
	dpop := func(a *application) object { return object{"dpop_bound_access_tokens": true} }
	unbound := func(p *core.Provider, client *application) {
		withKey(p, client)
		p.FAPI2, p.Client.DPoP, p.Requests.PAR = false, false, true
	}
	return []*variant{
		{
			name: "FAPI2-private_key_jwt-DPoP", fapi: true, alg: "PS256", registration: and(byKey, dpop),
			configure: func(p *core.Provider, a *application) {
				withKey(p, a)
				p.FAPI2, p.Client.DPoP = true, true
			},
			without: "without the profile and with no proof", weaken: unbound, refusal: "code_refused|DPoP",
		},
		{
			name: "FAPI2-tls_client_auth-mTLS", fapi: true, mtls: true,
			registration: func(a *application) object {
				return object{
					"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": a.certificate.Leaf.DNSNames[0],
					"tls_client_certificate_bound_access_tokens": true,
				}
			},
			configure: func(p *core.Provider, a *application) {
				withCertificate(p, a)
				p.FAPI2 = true
			},
			without: "with a certificate for another name", weaken: renamed, refusal: "client_refused",
		},
		{
			name: "FAPI2-message-signing", fapi: true, registration: and(and(byKey, dpop), func(a *application) object {
				return object{
					"require_signed_request_object": true, "request_object_signing_alg": "ES256", "authorization_signed_response_alg": "ES256",
				}
			}),
			configure: func(p *core.Provider, a *application) {
				withKey(p, a)
				p.FAPI2, p.Client.DPoP, p.Requests.SignedRequest, p.Requests.SignedResponse = true, true, true, true
			},
			without: "with the Security Profile only, whose requests are not signed",
			weaken: func(p *core.Provider, client *application) {
				withKey(p, client)
				p.Requests.SignedRequest = false
			}, refusal: "(provider|request)_refused.*equest",
		},
	}
}
