package logintest

import "time"

// tokenAttacks are logins at a provider that issues an invalid ID token (OpenID
// Connect Core section 3.1.3.7).
func tokenAttacks() []attack {
	var attacks []attack
	for _, fault := range tokenFaults {
		attacks = append(attacks, attack{fault.name, fault.must, func(s *siege) { badToken(s, "a login with an "+fault.name, fault.edit) }})
	}
	return append(attacks,
		attack{"ID token signed with another key",
			"verify the ID token's signature with the keys of the provider's jwks_uri", otherKey},
		attack{"UserInfo about another user",
			"reject a UserInfo response whose sub differs from the ID token's (OpenID Connect Core section 5.3.2)", otherUserInfo},
	)
}

var tokenFaults = []struct {
	name, must string
	edit       func(header, claims map[string]any)
}{
	{"ID token without a signature", "verify the ID token's signature, and reject alg none",
		func(header, _ map[string]any) { header["alg"] = "none" }},
	{"ID token with an HMAC of the public key", "accept asymmetric algorithms only, whatever the ID token's header says (RFC 8725 section 3.1)",
		func(header, _ map[string]any) { header["alg"] = "HS256" }},
	{"ID token of another issuer", "compare the ID token's iss with the issuer of this login",
		func(_, claims map[string]any) { claims["iss"] = evilOrigin }},
	{"ID token for another client", "require its own client_id in the ID token's aud",
		func(_, claims map[string]any) { claims["aud"] = "another-client" }},
	{"ID token for more clients than one", "reject an ID token whose aud contains audiences that it does not trust",
		func(_, claims map[string]any) { claims["aud"] = []any{claims["aud"], "another-client"} }},
	{"ID token with another azp", "reject an ID token whose azp is not its own client_id",
		func(_, claims map[string]any) { claims["azp"] = "another-client" }},
	{"ID token that has expired", "reject an ID token whose exp has passed",
		func(_, claims map[string]any) { claims["exp"] = claims["iat"].(int64) - int64(time.Hour/time.Second) }},
	{"ID token without iat", "require iat in the ID token (OpenID Connect Core section 2)",
		func(_, claims map[string]any) { delete(claims, "iat") }},
	{"ID token with another nonce", "compare the ID token's nonce with the nonce of this login",
		func(_, claims map[string]any) { claims["nonce"] = "another-nonce" }},
	{"ID token without nonce", "send a nonce with each login, and require it in the ID token",
		func(_, claims map[string]any) { delete(claims, "nonce") }},
	{"ID token without sub", "require a sub in the ID token, because names and e-mail addresses do not identify a user",
		func(_, claims map[string]any) { delete(claims, "sub") }},
}

func badToken(s *siege, cause string, edit func(header, claims map[string]any)) {
	s.misbehave(Faults{IDToken: edit})
	l := s.begin(s.newBrowser(), s.ada)
	s.redeem(l)
	s.expect(l.browser, nobody, cause)
}

// otherKey signs with a forged key that has the key id of the provider's key.
func otherKey(s *siege) {
	forger := NewProvider(s.target.Issuer)
	for forger.signingKeys().rsa.Equal(s.provider.signingKeys().rsa) { // both use the same pool
		forger.RotateKeys()
	}
	var header, claims map[string]any
	s.misbehave(Faults{
		IDToken:       func(h, c map[string]any) { header, claims = h, c },
		SignedIDToken: func(string) string { return forger.Sign(header, claims) },
	})
	l := s.begin(s.newBrowser(), s.ada)
	s.redeem(l)
	s.expect(l.browser, nobody, "a login with an ID token signed with another key")
}

// otherUserInfo does nothing for an application that does not request UserInfo.
func otherUserInfo(s *siege) {
	if !s.userInfo {
		return
	}
	s.misbehave(Faults{UserInfo: func(claims map[string]any) {
		for name, value := range s.mallory.Claims {
			claims[name] = value
		}
		claims["sub"] = s.mallory.Subject
	}})
	l := s.begin(s.newBrowser(), s.ada)
	s.redeem(l)
	s.expect(l.browser, nobody, "a login with UserInfo about another user")
}
