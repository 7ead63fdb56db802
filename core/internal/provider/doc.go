// Package provider asks an OpenID or OAuth 2.0 provider: for metadata and keys, for
// tokens, for what UserInfo says, for the end of tokens and sessions. It verifies ID
// tokens and logout tokens. It knows one registration, a [Config], and small requests
// and results. It must not know browsers, cookies, sessions, users of the application,
// or what status and text an error is answered with.
package provider
