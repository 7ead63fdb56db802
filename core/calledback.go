package core

import (
	"context"
	"net/http"
	"net/url"
	"slices"
)

// A callbackPlace says whose callback the path of a request is.
type callbackPlace struct {
	path   string        // with BasePath
	ours   bool          // whether path is a callback
	listed *registration // the listed provider there; nil: none
	name   string        // of the looked-up provider that has it for itself, if there is one
}

// placeOf returns whose callback r is for. It does not ask Lookup.Find: a name is just
// what the path says.
func (a *Authenticator) placeOf(r *http.Request) callbackPlace {
	p := callbackPlace{path: a.publicPath(r)}
	if name, ok := a.nameIn(r); ok {
		if validProviderName(name) && a.registrations.named(name) == nil { // whose callback is elsewhere
			p.name, p.ours = name, true
		}
		return p
	}
	if a.lookup != nil { // others may share callbacks, so the path must be exact
		p.listed = a.registrations.find(func(at *registration) bool { return at.callbackPath == p.path })
		p.ours = p.listed != nil || p.path == urlPath(a.config.RedirectURL)
		return p
	}
	if p.listed = a.registrations.calledBack(p.path); p.listed != nil {
		p.path, p.ours = p.listed.callbackPath, true
	}
	return p
}

// begunAt returns the registration at which an attempt of this browser began, as it is
// now, or nil if it is gone or cannot be at this place. Lookup.Find is asked only if the
// attempt may belong here.
func (p callbackPlace) begunAt(ctx context.Context, a *Authenticator, attempt *attempt) (*registration, error) {
	switch {
	case attempt.name == "":
		return a.registrations.withID(attempt.provider), nil
	case p.isForeign(attempt), a.registrations.named(attempt.name) != nil: // it is listed now
		return nil, nil
	}
	return a.lookup.named(ctx, attempt.name)
}

// isForeign reports whether the callback is another looked-up provider's than attempt is
// for.
func (p callbackPlace) isForeign(attempt *attempt) bool {
	return p.name != "" && p.name != attempt.name
}

// check returns an error if a callback at this place does not belong to an attempt at a
// provider, which is nil if it is gone. The callback must be the provider's (RFC 9700
// section 4.4: mix-up of providers), and a looked-up provider must not have changed.
func (p callbackPlace) check(attempt *attempt, at *registration) error {
	switch {
	case attempt.name == "" && p.listed == at, at != nil && at.id == attempt.provider && at.callbackPath == p.path && !p.isForeign(attempt):
		return nil
	case p.isForeign(attempt), attempt.name == "", at != nil && at.id == attempt.provider && p.name == "":
		return errBadCallback("the callback is for another provider than the login; check the redirect URI registered at each provider")
	}
	return fail(codeChanged, nil)
}

// likely returns the listed provider at this place, and nil if a response without an
// attempt says that it comes from another one. Any site can make such a response.
func (p callbackPlace) likely(said url.Values) *registration {
	if iss, ok := only(said["iss"]); ok && p.listed != nil && !p.listed.issues(iss) {
		return nil
	}
	return p.listed
}

// checkPlace checks that the callback of a looked-up provider, which is complete, exists.
// It is its own, or one that it shares: Config.RedirectURL, or that of a listed provider.
//
// At a shared callback, only the response itself says who has sent it (RFC 9700 section
// 4.4.2.1), so it must have iss, which the metadata announces, or be signed.
func (c *Config) checkPlace(p *Provider, faults *faults) {
	own := c.RedirectURL + "/" + p.Name
	switch path := urlPath(p.RedirectURL); {
	case slices.Contains([]string{c.Pages.LoginPath, c.Logout.Path, c.Logout.BackChannelPath, c.Logout.FrontChannelPath, c.KeysPath}, path):
		faults.add("Providers[0].Name gives the callback %s, which is another route of the login; give another name", path)
	case c.isShared(p) && p.Requests.SignedResponse && len(p.Client.DecryptionKeys) > 0:
		faults.add("Providers[0].RedirectURL is shared with other providers, and Client.DecryptionKeys and Requests.SignedResponse are set; an encrypted response does not tell whose it is, so leave RedirectURL empty")
	case c.needsIss(p) && p.Endpoints.AuthURL != "":
		faults.add("Providers[0].RedirectURL is shared with other providers, and Endpoints.AuthURL replaces the metadata, which has to announce iss in responses (RFC 9207); leave RedirectURL empty, or set Requests.SignedResponse")
	case path != urlPath(own) && !c.isShared(p):
		faults.add("Providers[0].RedirectURL is no callback of this application; leave it empty for %s, or give %s or the RedirectURL of one of Config.Providers", own, c.RedirectURL)
	}
}

// isShared reports whether other providers may have the callback of a looked-up one.
func (c *Config) isShared(p *Provider) bool {
	path := urlPath(p.RedirectURL)
	return path == urlPath(c.RedirectURL) ||
		slices.ContainsFunc(c.Providers, func(listed Provider) bool { return urlPath(listed.RedirectURL) == path })
}

// needsIss reports whether responses for a looked-up provider must have iss: it shares its
// callback, and they are not signed. A listed provider there with the same registration
// proves that there is nothing to tell apart.
func (c *Config) needsIss(p *Provider) bool {
	path := urlPath(p.RedirectURL)
	return c.isShared(p) && !p.Requests.SignedResponse && !slices.ContainsFunc(c.Providers, func(listed Provider) bool {
		return urlPath(listed.RedirectURL) == path && listed.Issuer == p.Issuer && listed.ClientID == p.ClientID
	})
}
