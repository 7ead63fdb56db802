package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// completeProviders checks the providers, each by itself and beside those before it, and
// sets the defaults of their zero fields. It returns the faults of each.
func (c *Config) completeProviders() (own []faults) {
	own = make([]faults, len(c.Providers))
	for i := range c.Providers {
		prefix := fmt.Sprintf("Providers[%d].", i)
		c.Providers[i].complete(prefix, &own[i])
		c.completeCallback(i, prefix, &own[i])
		c.completeFAPI(i, prefix, &own[i])
	}
	c.checkPlainHTTP(own)
	for i := range c.Providers {
		for j := range i {
			if !c.SkipFaultyProviders || len(own[j]) == 0 {
				c.checkDistinct(i, j, &own[i])
			}
		}
	}
	for i := range c.Providers {
		c.checkCertificate(i, &own[i])
		c.checkPublicOnly(i, &own[i])
	}
	c.checkPublished(own)
	for i := range c.Providers {
		p := &c.Providers[i]
		p.Name, p.Label = p.nameOrHost(), p.label()
	}
	return own
}

// completeCallback sets RedirectURL of a provider. It depends on nothing but the
// provider, so that a registration stays valid when other providers come and go.
func (c *Config) completeCallback(i int, prefix string, faults *faults) {
	p := &c.Providers[i]
	if p.Name != "" && !validProviderName(p.Name) {
		faults.add("%sName cannot be the end of a path; give at most %d letters, digits, -, _ or ., beginning and ending with a letter or digit", prefix, maxName)
	}
	if p.Label != "" && !isLabel(p.Label) {
		faults.add("%sLabel cannot be shown; give at most %d printable characters, without spaces at the ends, or leave it empty for Name", prefix, maxLabel)
	}
	if p.RedirectURL == "" {
		p.RedirectURL = c.RedirectURL
		if p.Name != "" {
			p.RedirectURL += "/" + p.Name
		}
		return
	}
	u, err := url.Parse(p.RedirectURL)
	switch base, baseErr := url.Parse(c.RedirectURL); {
	case err != nil || u.Hostname() == "":
		faults.add("%sRedirectURL is not an absolute URL; give the registered one, such as https://app.example.com/auth/google, or leave it empty", prefix)
	case baseErr == nil && base.Host != "" && originOf(u) != originOf(base):
		faults.add("%sRedirectURL has another scheme or host than RedirectURL; cookies are for one origin, so give a URL of that origin, or leave it empty", prefix)
	case u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(p.RedirectURL, "#"):
		faults.add("%sRedirectURL has a user name, query or fragment; remove it (RFC 6749 section 3.1.2)", prefix)
	case isPlainPath(c.BasePath) && !strings.HasPrefix(u.EscapedPath(), c.BasePath+"/"):
		faults.add("%sRedirectURL has the path %s, which is not below BasePath %s; give the URL that browsers see, or leave it empty", prefix, u.EscapedPath(), c.BasePath)
	default:
		checkRoute(faults, prefix+"RedirectURL's path", u.EscapedPath(), "/auth/google")
	}
}

// checkDistinct checks that a provider differs from an earlier one in its name, in its
// callback, and in its issuer, which is in the responses (RFC 9207 section 4).
func (c *Config) checkDistinct(i, earlier int, faults *faults) {
	p, other := &c.Providers[i], &c.Providers[earlier]
	switch {
	case p.Name == "" && other.Name == "":
		faults.add("Providers[%d].Name is missing, and so is that of Providers[%d]; one provider may have none, so give this one a name", i, earlier)
	case strings.EqualFold(p.nameOrHost(), other.nameOrHost()):
		faults.add("Providers[%d].Name is that of Providers[%d]; give each provider its own name", i, earlier)
	case c.samePath(urlPath(p.RedirectURL), urlPath(other.RedirectURL)):
		faults.add("Providers[%d].%s gives the callback of Providers[%d]; give each provider its own RedirectURL or Name", i, c.callbackField(p), earlier)
	}
	if (p.Label != "" || other.Label != "") && p.label() == other.label() {
		faults.add("Providers[%d].Label is that of Providers[%d], so users could not tell them apart; give each provider its own Label", i, earlier)
	}
	if p.Issuer != "" && (p.Issuer == other.Issuer || p.issues(other.Issuer) || other.issues(p.Issuer)) {
		remedy := "one issuer can be one provider only (RFC 9207 section 4); give each provider its own issuer"
		if p.issuerOfAuthURL() || other.issuerOfAuthURL() {
			remedy = "an empty Issuer is made of AuthURL's host, so set Issuer on both, to two different URLs of that host"
		}
		faults.add("Providers[%d].Issuer is that of Providers[%d]; %s", i, earlier, remedy)
	}
}

// samePath reports whether two paths are equal, or one is the other without BasePath.
func (c *Config) samePath(one, two string) bool {
	return strings.EqualFold(one, two) || strings.EqualFold(one, c.BasePath+two) || strings.EqualFold(c.BasePath+one, two)
}

// checkCallbacks checks that no callback is another route of the login, and returns the
// paths of the callbacks of faultless providers. completePaths has checked RedirectURL.
func (c *Config) checkCallbacks(routes []string, own []faults) (callbacks []string) {
	for i := range c.Providers {
		p := &c.Providers[i]
		callback := urlPath(p.RedirectURL)
		if callback != urlPath(c.RedirectURL) && (slices.Contains(routes, callback) || slices.Contains(routes, strings.TrimPrefix(callback, c.BasePath))) {
			own[i].add("Providers[%d].%s gives the callback %s, which is another route of the login; give another RedirectURL or Name, or change "+
				"Pages.LoginPath, Logout.Path, Logout.BackChannelPath, Logout.FrontChannelPath or KeysPath", i, c.callbackField(p), callback)
		}
		if len(own[i]) == 0 {
			callbacks = append(callbacks, callback, strings.TrimPrefix(callback, c.BasePath))
		}
	}
	return callbacks
}

// callbackField returns the name of the field that p's callback comes from.
func (c *Config) callbackField(p *Provider) string {
	if p.Name != "" && p.RedirectURL == c.RedirectURL+"/"+p.Name {
		return "Name"
	}
	return "RedirectURL"
}

// leaveOut removes the providers that have faults, and logs the faults. It returns an
// error for each of these providers.
func (c *Config) leaveOut(own []faults) (skipped []error) {
	var sound []Provider
	for i, p := range c.Providers {
		if len(own[i]) == 0 {
			sound = append(sound, p)
			continue
		}
		for _, fault := range own[i] {
			// The text of a fault begins with the field.
			field, _, _ := strings.Cut(strings.TrimPrefix(fault.Error(), "pixy: Config."), " ")
			c.Logger.LogAttrs(context.Background(), slog.LevelWarn, "pixy: provider left out",
				slog.String("provider", p.Name),
				slog.String("field", strings.TrimSuffix(field, "'s")),
				slog.String("error", fault.Error()),
			)
		}
		skipped = append(skipped, fail(codeNoProvider, fmt.Errorf("provider %q was left out: %w", p.Name, errors.Join(own[i]...))))
	}
	c.Providers = sound
	return skipped
}

// label returns Label, or what users see instead.
func (p *Provider) label() string { return cmp.Or(p.Label, p.nameOrHost()) }

// maxLabel is the maximum length of a text that our pages show, in characters.
const maxLabel = 64

// isLabel reports whether a text can be shown on one line.
func isLabel(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxLabel && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}

// nameOrHost returns Name, or the issuer's host.
func (p *Provider) nameOrHost() string {
	if u, err := url.Parse(p.Issuer); err == nil {
		return cmp.Or(p.Name, u.Host)
	}
	return p.Name
}

// urlPath returns the path of a URL.
func urlPath(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

// issues reports whether issuer is this provider, or a tenant of it that may log in.
func (p *Provider) issues(issuer string) bool {
	room := provider.Config{Issuer: p.Issuer, Tenants: p.Checks.Tenants}
	return room.Issues(issuer)
}

// issuerOfAuthURL reports whether Issuer is the default that is made of AuthURL.
func (p *Provider) issuerOfAuthURL() bool {
	if p.FetchUser == nil || p.Endpoints.AuthURL == "" {
		return false
	}
	u, err := url.Parse(p.Endpoints.AuthURL)
	return err == nil && p.Issuer == u.Scheme+"://"+u.Host
}

const maxName = 64 // of a provider's name, in bytes

// validProviderName reports whether a name can be the end of a path in every router and
// behind every proxy.
func validProviderName(name string) bool {
	const also = "-_."
	return len(name) <= maxName && !strings.Contains(name, "..") && strings.Trim(name, also) == name &&
		validName(strings.ReplaceAll(name, ".", "_"))
}
