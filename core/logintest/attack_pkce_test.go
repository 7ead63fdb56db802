package logintest_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestReveals(t *testing.T) {
	t.Parallel()
	const secret = "a-secret_of~some.length"
	nested := secret
	for layer := range 5 {
		for _, text := range []string{nested, "x|" + nested + "|y", url.QueryEscape("{" + nested + "}")} {
			if got, want := logintest.Reveals(text, secret), layer <= 3; got != want && (layer != 3 || text[0] == nested[0]) {
				t.Errorf("%d layers, %s: got %v, want %v", layer, text, got, want)
			}
		}
		encode := []func([]byte) string{base64.URLEncoding.EncodeToString, hex.EncodeToString, base64.RawStdEncoding.EncodeToString}[layer%3]
		nested = encode([]byte(nested))
	}
	for _, text := range []string{"", "c2ltcGx5IGFub3RoZXIgdGV4dA", secret[1:]} {
		if logintest.Reveals(text, secret) {
			t.Errorf("%q reveals nothing", text)
		}
	}
}
