package preset

import (
	"slices"

	"github.com/pixyauth/pixy/core"
)

const (
	entraIssuer    = "https://login.microsoftonline.com/"
	personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad" // of all personal Microsoft accounts
)

// Entra is Microsoft Entra ID for the accounts of one tenant. TenantID is its
// "Directory (tenant) ID": a GUID, not a domain, common or organizations.
//
// Register an application for "accounts in this organizational directory only",
// with a redirect URI of platform "Web" and a client secret or a certificate.
//
// SigningKeys: upload the certificate, and give it as Certificate of the key,
// which must be an RSA key. Entra finds the certificate by its SHA-256
// thumbprint, and documents PS256 as the algorithm and the token endpoint as the
// audience of assertions, so the preset sets that.
//
// A signing key that the key set assigns to another tenant is not accepted.
//
// The subject is stable, and specific to the user and this application. The
// same user has another subject in another application; the claim oid is the
// same in all applications of the tenant. The name is in the ID token. The
// e-mail address is there only if the account has one. The account's
// administrator can set it to any value, and Entra does not send
// email_verified, so EmailVerified is always false. Never look up an account by
// it.
//
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc,
// https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference,
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials
func Entra(tenantID string, client Client) core.Provider {
	p := famous("Microsoft", below(entraIssuer, "%s/v2.0", tenantID), client)
	return assertedTo(below(entraIssuer, "%s/oauth2/v2.0/token", tenantID), p)
}

// EntraMultiTenant is Microsoft Entra ID for the accounts of the listed
// tenants, by their ids. [core.New] returns an error for an empty list.
// Register the application for "accounts in any organizational directory". For
// personal Microsoft accounts, which are tenant
// 9188040d-6c67-4c5b-b112-36a304b66dad, register it for these as well.
//
// Each tenant is a separate issuer, and the metadata's issuer is a template.
// The claim tid of an ID token names its tenant. The issuer must be that
// tenant's, the key must be allowed to sign for it, and it must be in the list.
// [core.User.Issuer] is the tenant's issuer. A guest in a listed tenant is an
// account of that tenant. Otherwise it is like [Entra].
//
// https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer
func EntraMultiTenant(client Client, tenantIDs ...string) core.Provider {
	p := famous("Microsoft", entraIssuer+"{tenantid}/v2.0", client)
	p.Checks.Tenants = tenantIDs
	endpoint := "organizations"
	if slices.Contains(tenantIDs, personalTenant) {
		endpoint = "common"
	}
	return assertedTo(entraIssuer+endpoint+"/oauth2/v2.0/token", p)
}
