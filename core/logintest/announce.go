package logintest

import (
	"maps"
	"slices"
	"strings"
)

// signingAlgs are the algorithms with which the provider signs.
var signingAlgs = []string{"RS256", "PS256", "ES256", "EdDSA"}

// announce adds to the metadata what strong clients use, if there are any. What
// is required is so for all clients.
func (p *Provider) announce(metadata map[string]any) {
	clients := slices.Collect(maps.Values(p.clients))
	anyOf := func(has func(Client) bool) bool { return slices.ContainsFunc(clients, has) }
	allOf := func(has func(Client) bool) bool {
		return !anyOf(func(c Client) bool { return !has(c) })
	}
	if !anyOf(Client.strong) {
		return
	}
	var methods, types []string
	for _, client := range clients {
		methods = append(methods, client.authMethods()...)
		types = append(types, client.AuthorizationDetailsTypes...)
	}
	methods, types = sorted(methods), sorted(types)
	algs, signing := strings.Fields(join(asymmetric)), signingAlgs
	if allOf(func(c Client) bool { return c.FAPI2 }) {
		algs = strings.Fields(join(fapiAlgs))
		signing = algs
	}
	metadata["pushed_authorization_request_endpoint"] = p.url(PAR)
	metadata["require_pushed_authorization_requests"] = allOf(func(c Client) bool { return c.RequirePAR })
	metadata["dpop_signing_alg_values_supported"] = algs
	metadata["request_parameter_supported"] = true
	metadata["request_uri_parameter_supported"] = false // only those of pushed requests
	metadata["require_signed_request_object"] = allOf(func(c Client) bool { return c.RequireSignedRequest })
	metadata["request_object_signing_alg_values_supported"] = algs
	metadata["response_modes_supported"] = responseModes
	for _, signed := range []string{"id_token", "userinfo", "authorization"} {
		metadata[signed+"_signing_alg_values_supported"] = signing
	}
	for _, encrypted := range []string{"id_token", "userinfo"} {
		metadata[encrypted+"_encryption_alg_values_supported"] = keyAlgs
		metadata[encrypted+"_encryption_enc_values_supported"] = contentEncs
	}
	if len(types) > 0 {
		metadata["authorization_details_types_supported"] = types
	}
	if p.MTLSOrigin != "" || anyOf(func(c Client) bool { return c.FAPI2 || c.CertificateBound || c.usesCertificate() }) {
		metadata["tls_client_certificate_bound_access_tokens"] = anyOf(func(c Client) bool { return c.CertificateBound })
		metadata["mtls_endpoint_aliases"] = map[string]any{
			"token_endpoint": p.alias(Token), "revocation_endpoint": p.alias(Revocation),
			"pushed_authorization_request_endpoint": p.alias(PAR), "userinfo_endpoint": p.alias(UserInfo),
		}
	}
	if slices.Contains(methods, methodSecretJWT) {
		algs = append(slices.Clip(algs), "HS256", "HS384", "HS512")
	}
	for _, endpoint := range []string{"token_endpoint", "revocation_endpoint"} {
		metadata[endpoint+"_auth_methods_supported"] = methods
		metadata[endpoint+"_auth_signing_alg_values_supported"] = algs
	}
}

// sorted returns the distinct values of a list.
func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
