package preset

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
)

const (
	appleIssuer = "https://appleid.apple.com"

	// appleSecretLifetime is for one token request. Apple allows six months.
	appleSecretLifetime = 5 * time.Minute
)

// AppleClient is an application's registration with Apple. It prints and logs
// without the key.
type AppleClient struct {
	ServicesID string // the client id: a Services ID, such as com.example.web
	TeamID     string // ten characters, of the developer account
	KeyID      string // ten characters, of the private key
	PrivateKey []byte `json:"-"` // the .p8 file, as it was downloaded
}

// LogValue leaves out the key.
func (c AppleClient) LogValue() slog.Value {
	return slog.GroupValue(slog.String("services_id", c.ServicesID), slog.String("team_id", c.TeamID), slog.String("key_id", c.KeyID))
}

// Format prints what LogValue gives, whatever the verb.
func (c AppleClient) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.LogValue().String()) }

// Apple is Sign in with Apple. The error says what is missing, or that PrivateKey
// is no key for ES256.
//
// Register a Services ID with Sign in with Apple, the domain and the return URL
// (https, and no loopback), and a key for it. Apple has no fixed client secret:
// it is a token that is signed with that key, made for each token request and
// good for five minutes, and sent by client_secret_post.
//
// The subject is stable and the same for all applications of the team. Apple
// gives name and e-mail only if its answer is posted as a form, so that is asked
// for (see [core.Provider].FormPost). The name comes at a person's first login
// only, unsigned, as claim user (see [core.Provider].FormPostUser). EmailVerified is true only if Apple spells
// email_verified as a boolean; it has been a string at times. An address at
// privaterelay.appleid.com is a relay to the person's own.
//
// https://developer.apple.com/documentation/signinwithapplerestapi,
// https://developer.apple.com/documentation/accountorganizationaldatasharing/creating-a-client-secret
func Apple(client AppleClient) (core.Provider, error) { return appleAt(client, time.Now) }

func appleAt(client AppleClient, now func() time.Time) (core.Provider, error) {
	key, err := client.key()
	if err != nil {
		return core.Provider{}, fmt.Errorf("pixy: preset.Apple: %w", err)
	}
	options := (&jose.SignerOptions{}).WithHeader("kid", client.KeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return core.Provider{}, fmt.Errorf("pixy: preset.Apple: %w", err)
	}
	p := provider("Apple", appleIssuer, Client{ID: client.ServicesID})
	p.Scopes = []string{"openid", "name", "email"}
	p.Requests.FormPost, p.Requests.FormPostUser = true, true
	p.Client.SecretFunc = func(context.Context) (string, error) {
		return client.secret(signer, now())
	}
	return p, nil
}

// key reads the .p8 file: PKCS #8 in PEM.
func (c AppleClient) key() (*ecdsa.PrivateKey, error) {
	for _, field := range [...]struct{ name, value string }{
		{"ServicesID", c.ServicesID}, {"TeamID", c.TeamID}, {"KeyID", c.KeyID},
	} {
		if field.value == "" {
			return nil, fmt.Errorf("%s is missing", field.name)
		}
	}
	block, _ := pem.Decode(c.PrivateKey)
	if block == nil {
		return nil, errors.New("PrivateKey is not PEM; give the content of the .p8 file")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("PrivateKey cannot be read; give the content of the .p8 file")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("PrivateKey is not an ECDSA key on curve P-256, which ES256 needs")
	}
	return key, nil
}

// secret is the token that Apple takes for a client secret.
func (c AppleClient) secret(signer jose.Signer, now time.Time) (string, error) {
	payload, err := json.Marshal(map[string]any{
		"iss": c.TeamID,
		"sub": c.ServicesID,
		"aud": appleIssuer,
		"iat": now.Unix(),
		"exp": now.Add(appleSecretLifetime).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
