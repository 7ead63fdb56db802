package provider

import (
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

func TestKeySetsCostLittle(t *testing.T) {
	for name, body := range hostile.KeySets(t) {
		var set *KeySet
		hostile.Costs(t, name+", read", 16<<20, func() { set, _ = fetchKeys(t.Context(), answering(body), "https://id.example.test/jwks") })
		if set == nil {
			continue
		}
		if len(set.keys) > maxKeys || len(set.skipped) > maxKeys+1 {
			t.Errorf("%s: %d keys, %d skipped", name, len(set.keys), len(set.skipped))
		}
		for _, alg := range []string{"RS256", "PS512", "ES512"} {
			for _, kid := range []string{"", `,"kid":"1"`} {
				token := hostile.Forged(`{"alg":"`+alg+`"`+kid+`}`, hostile.Payload)
				signed, err := jose.ParseSignedCompact(token, Asymmetric)
				if err != nil {
					t.Fatal(err)
				}
				hostile.Costs(t, name+", for a token of "+alg+kid, 2<<20, func() {
					if _, err := new(keys).verifyWith(t.Context(), set, signed); err == nil {
						t.Error("a hostile.Forged token passes")
					}
				})
			}
		}
	}
}
