package logintest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"regexp"
)

var (
	// A SHA-256 hash has 43 characters in base64url.
	validChallenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	// RFC 7636 section 4.1.
	validVerifier = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
)

// checkChallenge requires a code challenge with S256. A missing method means
// plain (RFC 7636 section 4.3), and plain is an error.
func checkChallenge(request url.Values) *refusal {
	switch {
	case request.Get("code_challenge") == "":
		return &refusal{"invalid_request", "code_challenge is missing"}
	case request.Get("code_challenge_method") != "S256":
		return &refusal{"invalid_request", "code_challenge_method must be S256"}
	case !validChallenge.MatchString(request.Get("code_challenge")):
		return &refusal{"invalid_request", "code_challenge is not the base64url of a SHA-256 hash"}
	}
	return nil
}

// checkVerifier performs the server's check (RFC 7636 section 4.6).
func checkVerifier(challenge, verifier string) *refusal {
	switch {
	case verifier == "":
		return &refusal{"invalid_request", "code_verifier is missing"}
	case !validVerifier.MatchString(verifier):
		return &refusal{"invalid_request", "code_verifier is not 43 to 128 unreserved characters"}
	}
	sum := sha256.Sum256([]byte(verifier))
	computed := base64.RawURLEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(computed), []byte(challenge)) != 1 {
		return &refusal{"invalid_grant", "code_verifier does not match the code_challenge"}
	}
	return nil
}
