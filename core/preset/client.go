package preset

import (
	"fmt"
	"log/slog"
	"strings"
)

// Client is an application's registration with a provider: what the provider
// calls it, and by what it proves itself. It prints and logs without the secret.
type Client struct {
	ID     string
	Secret string `json:"-"` // empty: a public client, where the provider has such
}

// LogValue leaves out the secret.
func (c Client) LogValue() slog.Value { return slog.GroupValue(slog.String("id", c.ID)) }

// Format prints what LogValue gives, whatever the verb.
func (c Client) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.LogValue().String()) }

// address is the URL of a host, or of a whole address, without a final slash.
// Of nothing it makes nothing, which core.New then finds missing.
func address(s string) string {
	if s != "" && !strings.Contains(s, "://") {
		s = "https://" + s
	}
	return strings.TrimSuffix(s, "/")
}

// below appends a path to an address. If either is missing, so is the result.
func below(address, format, segment string) string {
	if address == "" || segment == "" {
		return ""
	}
	return address + fmt.Sprintf(format, segment)
}
