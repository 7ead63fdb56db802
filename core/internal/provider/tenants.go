package provider

import (
	"errors"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// Microsoft Entra has one metadata document for many tenants. Each tenant has its own
// issuer. The issuer in the document is literally this template:
//
//	https://login.microsoftonline.com/{tenantid}/v2.0
//
// In the URL of the document, a name such as organizations replaces the id. See
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc.
const (
	TenantPlaceholder = "{tenantid}"
	organizations     = "organizations" // all tenants except personalTenant
	common            = "common"        // all tenants

	// personalTenant is the tenant of all personal Microsoft accounts.
	personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// issuerOf replaces the placeholder in an issuer template by a tenant. Templates of keys
// may have it twice, as those of Entra External ID do.
func issuerOf(template, tenant string) string {
	return strings.ReplaceAll(template, TenantPlaceholder, tenant)
}

// Issues reports whether issuer is this provider, or an allowed tenant of it. Guarded
// requests call it, so it allocates nothing.
func (c *Config) Issues(issuer string) bool {
	if len(c.Tenants) == 0 {
		return issuer == c.Issuer
	}
	tenant, ok := c.tenantOf(issuer)
	return ok && slices.Contains(c.Tenants, tenant)
}

// tenantOf returns the tenant in an issuer that matches the template.
func (c *Config) tenantOf(issuer string) (string, bool) {
	before, after, _ := strings.Cut(c.Issuer, TenantPlaceholder)
	rest, begins := strings.CutPrefix(issuer, before)
	tenant, ends := strings.CutSuffix(rest, after)
	return tenant, begins && ends && ValidTenant(tenant)
}

// mayAnswer reports whether issuer can be the iss parameter of this provider's callback
// (RFC 9207). It accepts all tenants: Redeem checks later whether the tenant in the ID
// token is allowed.
func (c *Config) mayAnswer(issuer string) bool {
	if len(c.Tenants) == 0 {
		return issuer == c.Issuer
	}
	_, ok := c.tenantOf(issuer)
	return ok
}

// metadataIssuer returns the issuer whose URL the metadata is at.
func (c *Config) metadataIssuer() string {
	switch {
	case len(c.Tenants) == 0:
		return c.Issuer
	case slices.Contains(c.Tenants, personalTenant):
		return issuerOf(c.Issuer, common)
	}
	return issuerOf(c.Issuer, organizations)
}

// checkTenant checks that the token's issuer is the template with the token's tenant,
// tid.
func checkTenant(template string, c Claims) error {
	issuer, _ := c.Text("iss")
	tenant, _ := c.Text("tid")
	switch {
	case !ValidTenant(tenant):
		return errors.New("tid is missing or not a tenant's id")
	case issuer != issuerOf(template, tenant):
		return errors.New("iss is not that of the tenant in tid")
	}
	return nil
}

// errTenant returns the error for a genuine login from a tenant that is not allowed.
func errTenant(issuer string) *Error {
	return bad(CodeTenant, "%q is not among Checks.Tenants", told.Clip(issuer))
}

// ValidTenant reports whether s is a GUID in lower case, the form that tid has.
func ValidTenant(s string) bool {
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
