package preset_test

import (
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/preset"
)

// Two realms of one Keycloak are shown by their names. A famous name stays.
func TestLabels(t *testing.T) {
	t.Parallel()
	client := preset.Client{ID: "app", Secret: "secret"}
	for _, test := range []struct {
		preset core.Provider
		label  string
	}{
		{preset.Google(client), "Google"}, {preset.GitHub(client), "GitHub"}, {preset.Slack(client), "Slack"}, {preset.Discord(client), "Discord"},
		{preset.Facebook(client), "Facebook"}, {preset.Entra("11111111-2222-3333-4444-555555555555", client), "Microsoft"},
		{preset.LoginGov("secure.login.gov", client), "Login.gov"}, {preset.GitLab("", client), "GitLab"}, {preset.GitLab("https://gitlab.example.test", client), ""},
		{preset.Keycloak("https://id.example.test", "staff", client), ""}, {preset.Okta("https://id.example.test", client), ""},
	} {
		if test.preset.Label != test.label {
			t.Errorf("%s: got %q, want %q", test.preset.Name, test.preset.Label, test.label)
		}
	}
}
