package provider

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/pixyauth/pixy/core/internal/told"
)

// Endpoints are the URLs of a provider that replace those of its metadata. Empty ones come
// from the metadata.
type Endpoints struct {
	// InternalURL is the origin at which the application, and not the browser, reaches
	// what the provider has at the origin of Issuer.
	InternalURL string

	MetadataURL string // of the metadata; empty: made of Issuer

	// AuthURL and TokenURL are set together, and then there is no metadata.
	AuthURL, TokenURL string

	UserInfoURL, EndSessionURL, RevocationURL, PARURL string

	KeysURL string
	Keys    *KeySet // nil: fetched from KeysURL, or from where the metadata says
}

// discover returns the endpoints of the provider. Those of the configuration replace those
// of the metadata, which is at from, unless MetadataURL is set.
func (c *Config) discover(ctx context.Context, from string) (*metadata, error) {
	m := new(metadata)
	if c.MetadataURL != "" {
		from = c.MetadataURL
	}
	if c.AuthURL != "" {
		m.Issuer, m.SigningAlgs, m.UserInfoAlgs = c.Issuer, asymmetric(), asymmetric()
	} else if err := getJSON(ctx, c.Client, c.reach(from), m); err != nil {
		return nil, err
	}
	aliased := m.useAliases(c)
	for _, given := range []struct {
		url string
		of  *string
	}{
		{c.AuthURL, &m.AuthorizationEndpoint}, {c.TokenURL, &m.TokenEndpoint}, {c.UserInfoURL, &m.UserInfoEndpoint},
		{c.EndSessionURL, &m.EndSessionEndpoint}, {c.RevocationURL, &m.RevocationEndpoint}, {c.KeysURL, &m.JWKSURI}, {c.PARURL, &m.PAREndpoint},
	} {
		if given.url != "" {
			*given.of = given.url
		}
	}
	err := errors.Join(m.check(c), aliased)
	if err == nil {
		err = c.checkPublic(m)
	}
	if err != nil {
		return nil, badMetadata("discovery: %w", err)
	}
	for _, endpoint := range []*string{&m.TokenEndpoint, &m.UserInfoEndpoint, &m.RevocationEndpoint, &m.PAREndpoint, &m.JWKSURI} {
		m.reach(endpoint, c)
	}
	return m, nil
}

// asymmetric returns the names of Asymmetric. Without metadata, a token may be signed by
// each algorithm that fits a key.
func asymmetric() (names []string) {
	for _, alg := range Asymmetric {
		names = append(names, string(alg))
	}
	return names
}

// reach replaces the URL of an endpoint by the one at which the application reaches it.
func (m *metadata) reach(endpoint *string, c *Config) {
	to := c.reach(*endpoint)
	if to == *endpoint {
		return
	}
	if u, err := url.Parse(*endpoint); err == nil {
		if m.at == nil {
			m.at = make(map[string]*url.URL)
		}
		m.at[to] = u
	}
	*endpoint = to
}

// reach returns the URL at which the application reaches an endpoint: the same path at
// InternalURL, if the endpoint is at Issuer's origin.
func (c *Config) reach(endpoint string) string {
	to, err := url.Parse(endpoint)
	if c.InternalURL == "" || err != nil || originOf(to) != originIn(c.Issuer) {
		return endpoint
	}
	internal, err := url.Parse(c.InternalURL)
	if err != nil {
		return endpoint // impossible: Config was checked
	}
	to.Scheme, to.Host = internal.Scheme, internal.Host
	return to.String()
}

// checkPublic returns an error if browsers would be sent to InternalURL.
func (c *Config) checkPublic(m *metadata) error {
	internal := originIn(c.InternalURL)
	if internal == "" || internal == originIn(c.Issuer) {
		return nil
	}
	for _, endpoint := range [...]struct{ name, url string }{
		{"authorization_endpoint", m.AuthorizationEndpoint}, {"end_session_endpoint", m.EndSessionEndpoint},
	} {
		if originIn(endpoint.url) == internal {
			return fmt.Errorf("%s is %q, at Endpoints.InternalURL, which browsers cannot reach; configure the provider's public URL",
				endpoint.name, told.Clip(endpoint.url))
		}
	}
	return nil
}

// originIn returns the origin of a URL, or "" for an empty one.
func originIn(of string) string {
	u, err := url.Parse(of)
	if of == "" || err != nil {
		return ""
	}
	return originOf(u)
}
