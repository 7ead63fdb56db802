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

	// appleSecretLifetime is long enough for one token request. Apple allows
	// six months.
	appleSecretLifetime = 5 * time.Minute
)

// AppleClient holds an application's registration with Apple. It prints and
// logs without the key.
type AppleClient struct {
	ServicesID string // the client id: a Services ID, such as com.example.web
	TeamID     string // the id of the developer account: ten characters
	KeyID      string // the id of the private key: ten characters
	PrivateKey []byte `json:"-"` // the content of the .p8 file
}

// LogValue leaves out the key.
func (c AppleClient) LogValue() slog.Value {
	return slog.GroupValue(slog.String("services_id", c.ServicesID), slog.String("team_id", c.TeamID), slog.String("key_id", c.KeyID))
}

// Format prints the result of LogValue, for every verb.
func (c AppleClient) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.LogValue().String()) }

// Apple is Sign in with Apple. It returns an error if a field is missing, or if
// PrivateKey is not a key for ES256.
//
// Register a Services ID with Sign in with Apple, the domain and the return URL
// (https, not loopback), and a key for it. Apple has no fixed client secret.
// The secret is a token that is signed with the key, created for each token
// request, valid for five minutes, and sent by client_secret_post.
//
// The subject is stable and the same for all applications of the team. Apple
// sends name and e-mail only if it posts its answer as a form, so the preset
// sets [core.RequestConfig.FormPost]. The name comes only at a user's first
// login, unsigned, as claim user (see [core.RequestConfig.FormPostUser]).
// EmailVerified is true only if Apple sends email_verified as a boolean; at
// times it has been a string. An address at privaterelay.appleid.com forwards
// to the user's own.
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
	p := famous("Apple", appleIssuer, Client{ID: client.ServicesID})
	p.Scopes = []string{"openid", "name", "email"}
	p.Requests.FormPost, p.Requests.FormPostUser = true, true
	p.Client.SecretFunc = func(context.Context) (string, error) {
		return client.secret(signer, now())
	}
	return p, nil
}

// key parses the .p8 file: PKCS #8 in PEM.
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

// secret returns the signed token that Apple accepts as client secret.
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
