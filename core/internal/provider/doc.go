// Package provider is the client of one OpenID or OAuth 2.0 provider. It fetches
// metadata and keys, exchanges codes, refreshes and revokes tokens, asks UserInfo, and
// verifies ID tokens and logout tokens. It knows one registration, a [Config], and small
// requests and results. It must not know browsers, cookies, sessions, users of the
// application, or the status and text of a response to the user.
package provider
