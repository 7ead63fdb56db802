package logintest_test

import (
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// No proof is accepted that is not signed for this request.
func FuzzProof(f *testing.F) {
	s := newStrongBench(&testing.T{}, dpopClient(nil))
	f.Add(s.proof("GET", issuer+"/par", ""))
	f.Add(s.proof("POST", issuer+"/par", "", func(h, _ map[string]any) { h["key"] = "other" }))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, proof string) {
		s := newStrongBench(t, dpopClient(nil))
		s.post(logintest.PAR, s.authenticated(s.request()), proof).refused(t, 400, "invalid_dpop_proof")
	})
}
