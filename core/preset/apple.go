package preset

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pixyauth/pixy/core"
	signing "github.com/pixyauth/pixy/core/internal/provider"
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

	// Signer is the private key in place of PrivateKey, such as a key in a KMS or an HSM.
	// If it fails, or takes more than ten seconds, the login fails with status 503.
	Signer crypto.Signer `json:"-"`
}

// LogValue leaves out the key.
func (c AppleClient) LogValue() slog.Value {
	return slog.GroupValue(slog.String("services_id", c.ServicesID), slog.String("team_id", c.TeamID), slog.String("key_id", c.KeyID))
}

// Format prints the result of LogValue, for every verb.
func (c AppleClient) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.LogValue().String()) }

// Apple is Sign in with Apple. It returns an error if a field is missing, or if
// the key is not one for ES256.
//
// Register a Services ID with Sign in with Apple, the domain and the return URL
// (https, not loopback), and a key for it. Apple has no fixed client secret.
// The secret is a token of the team, signed with the key. It is created for
// each token request, valid for five minutes, and sent by client_secret_post.
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
	p := famous("Apple", appleIssuer, Client{ID: client.ServicesID})
	p.Scopes = []string{"openid", "name", "email"}
	p.Requests.FormPost, p.Requests.FormPostUser = true, true
	p.Client.SecretFunc = func(ctx context.Context) (string, error) {
		return key.ClientSecret(ctx, client.claims(now()))
	}
	return p, nil
}

// key returns the key in the form that signs.
func (c AppleClient) key() (*signing.SigningKey, error) {
	for _, field := range [...]struct{ name, value string }{
		{"ServicesID", c.ServicesID}, {"TeamID", c.TeamID}, {"KeyID", c.KeyID},
	} {
		if field.value == "" {
			return nil, fmt.Errorf("%s is missing", field.name)
		}
	}
	name, signer := "Signer", c.Signer
	if signer == nil {
		var err error
		if signer, err = c.parse(); err != nil {
			return nil, err
		}
		name = "PrivateKey"
	} else if c.PrivateKey != nil {
		return nil, errors.New("PrivateKey and Signer are both set; give one of them")
	}
	key, err := signing.NewSigningKey(signer, c.KeyID, "ES256")
	if err != nil {
		return nil, fmt.Errorf("%s is not an ECDSA key on curve P-256, which ES256 needs", name)
	}
	return key, nil
}

// parse reads the .p8 file: PKCS #8 in PEM.
func (c AppleClient) parse() (crypto.Signer, error) {
	block, _ := pem.Decode(c.PrivateKey)
	if block == nil {
		return nil, errors.New("PrivateKey is not PEM; give the content of the .p8 file")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := parsed.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("PrivateKey cannot be read; give the content of the .p8 file")
	}
	return signer, nil
}

// claims returns the claims of the signed token that Apple accepts as client secret.
func (c AppleClient) claims(now time.Time) map[string]any {
	return map[string]any{
		"iss": c.TeamID,
		"sub": c.ServicesID,
		"aud": appleIssuer,
		"iat": now.Unix(),
		"exp": now.Add(appleSecretLifetime).Unix(),
	}
}
