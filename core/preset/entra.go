package preset

import "github.com/pixyauth/pixy/core"

const entraIssuer = "https://login.microsoftonline.com/"

// Entra is Microsoft Entra ID for the accounts of one tenant, by its "Directory
// (tenant) ID": a GUID, and neither a domain nor common or organizations.
//
// A key that the key set assigns to another tenant is not accepted.
//
// Register an application for "accounts in this organizational directory only",
// with a redirect URI of platform "Web" and a client secret.
//
// The subject is the user's and this application's: it is stable, but another
// application has another one for the same person, and the claim oid is the one
// that they share. The name is in the ID token. The e-mail address is there only
// if the account has one, its owner's administrator can set it to anything, and
// Entra does not say email_verified: EmailVerified is always false. Never find an
// account by it.
//
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc,
// https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
func Entra(tenantID string, client Client) core.Provider {
	return provider("Microsoft", below(entraIssuer, "%s/v2.0", tenantID), client)
}

// EntraMultiTenant is Microsoft Entra ID for the accounts of the tenants that are
// named, by their ids; [core.New] refuses an empty list. Register the application
// for "accounts in any organizational directory"; for personal Microsoft
// accounts, which are tenant 9188040d-6c67-4c5b-b112-36a304b66dad, for these too.
//
// Each tenant is an issuer of its own, and the metadata's issuer is a template. An
// ID token must come from the tenant in its own claim tid, be signed by a key that
// may sign for it, and the tenant must be in the list; [core.User.Issuer] is the
// tenant's. A guest in an allowed tenant is one of its accounts. The rest is as
// [Entra] says.
//
// https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer
func EntraMultiTenant(client Client, tenantIDs ...string) core.Provider {
	p := provider("Microsoft", entraIssuer+"{tenantid}/v2.0", client)
	p.Checks.Tenants = tenantIDs
	return p
}
