package provider

import (
	"errors"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// Microsoft Entra has one metadata document for many tenants, each of which is
// an issuer of its own. The document's issuer is a template, to the letter:
//
//	https://login.microsoftonline.com/{tenantid}/v2.0
//
// What stands in the document's URL in the place of the id is said in
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc.
const (
	TenantPlaceholder = "{tenantid}"
	organizations     = "organizations" // all tenants but that of personal accounts
	common            = "common"        // all tenants

	// personalTenant is that of everybody's personal Microsoft account.
	personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// issuerOf fills a tenant into an issuer template. Those of keys may have it twice,
// as Entra External ID's do.
func issuerOf(template, tenant string) string {
	return strings.ReplaceAll(template, TenantPlaceholder, tenant)
}

// Issues reports whether issuer is this provider or, if it has tenants, one of
// those that may log in. It is asked on guarded requests, and allocates nothing.
func (c *Config) Issues(issuer string) bool {
	if len(c.Tenants) == 0 {
		return issuer == c.Issuer
	}
	tenant, ok := c.tenantOf(issuer)
	return ok && slices.Contains(c.Tenants, tenant)
}

// tenantOf takes the tenant out of an issuer that fits the template.
func (c *Config) tenantOf(issuer string) (string, bool) {
	before, after, _ := strings.Cut(c.Issuer, TenantPlaceholder)
	rest, begins := strings.CutPrefix(issuer, before)
	tenant, ends := strings.CutSuffix(rest, after)
	return tenant, begins && ends && ValidTenant(tenant)
}

// mayAnswer reports whether issuer can be in the iss parameter of this
// provider's callback (RFC 9207). Whether the tenant is allowed is said by the
// ID token, later.
func (c *Config) mayAnswer(issuer string) bool {
	if len(c.Tenants) == 0 {
		return issuer == c.Issuer
	}
	_, ok := c.tenantOf(issuer)
	return ok
}

// metadataIssuer is the issuer under which the metadata is.
func (c *Config) metadataIssuer() string {
	switch {
	case len(c.Tenants) == 0:
		return c.Issuer
	case slices.Contains(c.Tenants, personalTenant):
		return issuerOf(c.Issuer, common)
	}
	return issuerOf(c.Issuer, organizations)
}

// checkTenant compares an ID token's issuer with the template and the token's
// own tenant, in tid.
func checkTenant(template string, c Claims) error {
	issuer, _ := c.Text("iss")
	tenant, _ := c.Text("tid")
	switch {
	case !ValidTenant(tenant):
		return errors.New("tid is missing or no tenant's id")
	case issuer != issuerOf(template, tenant):
		return errors.New("iss is not that of the tenant in tid")
	}
	return nil
}

// errTenant is a genuine login of somebody from a tenant that nobody has allowed.
func errTenant(issuer string) *Error {
	return bad(CodeTenant, "%q is not among Checks.Tenants", told.Clip(issuer))
}

// ValidTenant reports whether s is a GUID, in small letters as tid has it.
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
