package preset

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/pixyauth/pixy/core"
)

// Client holds an application's registration with a provider. It prints and
// logs without the secret and the keys.
type Client struct {
	ID     string // the client id
	Secret string `json:"-"` // the client secret; empty: a public client, if the provider supports them

	// SigningKeys authenticate the application in place of Secret, by private_key_jwt: see
	// [core.ClientConfig]. Register their public keys, or the URL of [core.Config.KeysPath].
	// The comments of the presets say which providers support that. With others, logins
	// fail. Nil: Secret.
	SigningKeys []core.SigningKey `json:"-"`
}

// LogValue leaves out the secret and the keys.
func (c Client) LogValue() slog.Value { return slog.GroupValue(slog.String("id", c.ID)) }

// Format prints the result of LogValue, for every verb.
func (c Client) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.LogValue().String()) }

// address returns the URL of a host or a URL, without a trailing slash. The
// address of the empty string is empty, which core.New reports as missing.
func address(s string) string {
	if s != "" && !strings.Contains(s, "://") {
		s = "https://" + s
	}
	return strings.TrimSuffix(s, "/")
}

// below appends a path to an address. If either is empty, so is the result.
func below(address, format, segment string) string {
	if address == "" || segment == "" {
		return ""
	}
	return address + fmt.Sprintf(format, segment)
}
