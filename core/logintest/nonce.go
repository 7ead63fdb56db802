package logintest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// nonceLifetime is how long a DPoP nonce is given out. It is accepted for as
// long again.
const nonceLifetime = time.Minute

// authorizationServer is the name of the server whose nonces the token and PAR
// endpoints share.
const authorizationServer = "authorization server"

// nonce returns the DPoP nonce of a server (RFC 9449 section 8). Other servers
// have others.
func (p *Provider) nonce(server string) string { return p.nonceOf(server, p.period()) }

// validNonce reports whether a server has given a nonce out lately.
func (p *Provider) validNonce(server, nonce string) bool {
	now := p.period()
	return nonce == p.nonceOf(server, now) || nonce == p.nonceOf(server, now-1)
}

func (p *Provider) period() int64 { return p.now().UnixNano() / int64(nonceLifetime) }

func (p *Provider) nonceOf(server string, period int64) string {
	mac := hmac.New(sha256.New, p.secret)
	fmt.Fprintf(mac, "%s %d", server, period)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
