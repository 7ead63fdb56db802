package core

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Microsoft Entra has one metadata document for many tenants, each of which is
// an issuer of its own. The document's issuer is a template, to the letter:
//
//	https://login.microsoftonline.com/{tenantid}/v2.0
//
// What stands in the document's URL in the place of the id is said in
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc.
const (
	tenantPlaceholder = "{tenantid}"
	organizations     = "organizations" // all tenants but that of personal accounts
	common            = "common"        // all tenants

	// personalTenant is that of everybody's personal Microsoft account.
	personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// issuerOf fills a tenant into an issuer template. Those of keys may have it twice,
// as Entra External ID's do.
func issuerOf(template, tenant string) string {
	return strings.ReplaceAll(template, tenantPlaceholder, tenant)
}

// issues reports whether issuer is this provider or, if it has tenants, one of
// those that may log in. It is asked on guarded requests, and allocates nothing.
func (p *Provider) issues(issuer string) bool {
	if len(p.Checks.Tenants) == 0 {
		return issuer == p.Issuer
	}
	tenant, ok := p.tenantOf(issuer)
	return ok && slices.Contains(p.Checks.Tenants, tenant)
}

// tenantOf takes the tenant out of an issuer that fits the template.
func (p *Provider) tenantOf(issuer string) (string, bool) {
	before, after, _ := strings.Cut(p.Issuer, tenantPlaceholder)
	rest, begins := strings.CutPrefix(issuer, before)
	tenant, ends := strings.CutSuffix(rest, after)
	return tenant, begins && ends && validTenant(tenant)
}

// mayAnswer reports whether issuer can be in the iss parameter of this
// provider's callback (RFC 9207). Whether the tenant is allowed is said by the
// ID token, later.
func (p *Provider) mayAnswer(issuer string) bool {
	if len(p.Checks.Tenants) == 0 {
		return issuer == p.Issuer
	}
	_, ok := p.tenantOf(issuer)
	return ok
}

// metadataIssuer is the issuer under which the metadata is.
func (p *Provider) metadataIssuer() string {
	switch {
	case len(p.Checks.Tenants) == 0:
		return p.Issuer
	case slices.Contains(p.Checks.Tenants, personalTenant):
		return issuerOf(p.Issuer, common)
	}
	return issuerOf(p.Issuer, organizations)
}

// checkTenant compares an ID token's issuer with the template and the token's
// own tenant, in tid.
func checkTenant(template string, c claims) error {
	issuer, _ := c.text("iss")
	tenant, _ := c.text("tid")
	switch {
	case !validTenant(tenant):
		return errors.New("tid is missing or no tenant's id")
	case issuer != issuerOf(template, tenant):
		return errors.New("iss is not that of the tenant in tid")
	}
	return nil
}

// errTenant is a genuine login of somebody from a tenant that nobody has allowed.
func errTenant(issuer string) *Error {
	return &Error{
		Status: http.StatusForbidden, Code: "tenant_refused",
		Public: "This application is not open to your organisation's accounts. Please choose another account.",
		Err:    fmt.Errorf("%w: %q is not among Checks.Tenants", ErrRefused, clip(issuer)),
	}
}

// completeTenants checks Issuer and Checks.Tenants, which need each other.
func (p *Provider) completeTenants(prefix string, faults *faults) {
	p.Checks.Tenants = slices.Clone(p.Checks.Tenants)
	template := strings.Count(p.Issuer, "/"+tenantPlaceholder+"/") == 1 && strings.Count(p.Issuer, "{") == 1
	switch {
	case len(p.Checks.Tenants) == 0 && strings.ContainsAny(p.Issuer, "{}"):
		faults.add("%sChecks.Tenants is empty, and Issuer is for many tenants; name those whose users may log in: anybody can make a tenant", prefix)
	case len(p.Checks.Tenants) > 0 && p.OAuth2 != nil:
		faults.add("%sChecks.Tenants is of OpenID Connect; leave it out, and look at the tenant in OAuth2.FetchUser", prefix)
	case len(p.Checks.Tenants) > 0 && !template:
		faults.add("%sChecks.Tenants needs an Issuer with /%s/ in it, as the provider's metadata spells it", prefix, tenantPlaceholder)
	}
	for i, tenant := range p.Checks.Tenants {
		if p.Checks.Tenants[i] = strings.ToLower(tenant); !validTenant(p.Checks.Tenants[i]) {
			faults.add("%sChecks.Tenants has %q; give the tenant's id, such as aaaabbbb-0000-cccc-1111-dddd2222eeee, and not its name or domain", prefix, tenant)
		}
	}
}

// validTenant reports whether s is a GUID, in small letters as tid has it.
func validTenant(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := '0' <= s[i] && s[i] <= '9' || 'a' <= s[i] && s[i] <= 'f'
		if dash != (s[i] == '-') || !dash && !hex {
			return false
		}
	}
	return true
}
