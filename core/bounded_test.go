package core_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/internal/hostile"
	"github.com/pixyauth/pixy/core/logintest"
)

// megabyte is JSON of the size that an answer may have: members before a value, as
// often as the piece fits in.
func megabyte(before, piece, after string) string {
	return before + strings.TrimSuffix(strings.Repeat(piece, ((1<<20)-len(before)-len(after))/len(piece)), ",") + after
}

// shapes are what costs a parser of JSON the most for its size.
func shapes(before string) map[string]string {
	return map[string]string{
		"many small arrays":   megabyte(before+`"x":[`, `[],`, `]}`),
		"many small objects":  megabyte(before+`"x":[`, `{},`, `]}`),
		"many numbers":        megabyte(before+`"x":[`, `0,`, `]}`),
		"many strings":        megabyte(before+`"x":[`, `"",`, `]}`),
		"many members":        before + manyMembers((1<<20)-len(before)-20) + `"x":0}`,
		"deep":                before + `"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}",
		"too deep":            before + `"x":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + "}",
		"one long string":     megabyte(before+`"x":"`, `\u0000`, `"}`),
		"one long number":     megabyte(before+`"x":`, `1`, `}`),
		"one member, often":   before + strings.Repeat(`"access_token":"x",`, 50_000) + `"x":0}`,
		"nothing but opening": megabyte(before, `{"a":`, ``),
	}
}

func manyMembers(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size-12; i++ {
		fmt.Fprintf(&b, `"%x":0,`, i)
	}
	return b.String()
}

// What one answer of the provider may cost, whatever it is: of memory, all that is
// ever taken, and of time, on a busy machine.
const (
	boundedBytes = 64 << 20 * hostile.Slack
	boundedTime  = 10 * time.Second * hostile.Slack
)

func bounded(t *testing.T, what string, f func()) {
	t.Helper()
	begun := time.Now()
	bytes := core.Allocated(f)
	took := time.Since(begun)
	t.Logf("%s: %s, %d KB", what, took.Round(time.Millisecond), bytes>>10)
	if took > boundedTime || bytes > boundedBytes {
		t.Errorf("%s took %s and %d KB", what, took, bytes>>10)
	}
}

// Not parallel: it measures.
func TestTheWorstMetadataIsBounded(t *testing.T) {
	good := fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":"%s/authorize","token_endpoint":"%s/token","jwks_uri":"%s/jwks",`, issuer, issuer, issuer, issuer)
	documents := shapes(good)
	documents["many algorithms"] = megabyte(good+`"id_token_signing_alg_values_supported":[`, `"",`, `]}`)
	documents["many methods"] = megabyte(good+`"token_endpoint_auth_methods_supported":[`, `"",`, `]}`)
	documents["many challenges"] = megabyte(good+`"code_challenge_methods_supported":[`, `"",`, `]}`)
	documents["a long issuer"] = megabyte(`{"issuer":"`, `a`, `"}`)
	documents["a long endpoint"] = megabyte(good+`"end_session_endpoint":"`+issuer+`/`, `a`, `"}`)
	for name, document := range documents {
		if len(document) > 1<<20 {
			t.Fatalf("%s: %d bytes", name, len(document))
		}
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.Discovery {
				fmt.Fprint(w, document)
			}
			return e == logintest.Discovery
		}})
		bounded(t, name, func() { _ = g.auth.Discover(t.Context()) })
		const logins = 100 // of anonymous requests
		bytes := core.Allocated(func() {
			for range logins {
				g.browser.Forget("", "")
				g.visit(origin + "/auth/login")
			}
		})
		if each := bytes / logins; each > 256<<10*hostile.Slack {
			t.Errorf("%s: a login takes %d KB", name, each>>10)
		}
		if log := g.log.String(); len(log) > (logins+1)*4096 {
			t.Errorf("%s: the log has %d bytes", name, len(log))
		}
	}
}

// Not parallel: it measures.
func TestTheWorstTokenResponseIsBounded(t *testing.T) {
	bodies := shapes(`{"access_token":"x","token_type":"Bearer","id_token":"x.y.z",`)
	for name, body := range shapes(`{"error":"invalid_request",`) {
		bodies["refused, "+name] = body
	}
	bodies["a long token_type"] = megabyte(`{"access_token":"e","refresh_token":"[","token_type":"`, `e`, `"}`)
	bodies["a long token_type, and a long token"] = megabyte(`{"access_token":"`+strings.Repeat("e", 500_000)+`b","token_type":"`, `e`, `"}`)
	bodies["a long token"] = megabyte(`{"token_type":"Bearer","access_token":"`, `e`, `"}`)
	bodies["a long ID token"] = megabyte(`{"access_token":"x","token_type":"Bearer","id_token":"`, `e`, `"}`)
	bodies["an ID token of dots"] = megabyte(`{"access_token":"x","token_type":"Bearer","id_token":"`, `.`, `"}`)
	bodies["a long error"] = megabyte(`{"error":"`, `e`, `"}`)
	bodies["a long description"] = megabyte(`{"error":"invalid_client","error_description":"`, `e`, `"}`)
	bodies["a form of many parameters"] = megabyte("error=x", "&a=b", "")
	bodies["a form of one long parameter"] = megabyte("access_token=", "%65", "")
	bodies["a page"] = megabyte("<p>", "&error=x ", "")
	for name, body := range bodies {
		if len(body) > 1<<20 {
			t.Fatalf("%s: %d bytes", name, len(body))
		}
		g := newRig(t)
		callback := g.toCallback()
		g.provider.Misbehave(tokenAnswers(http.StatusOK, "application/json", body))
		bounded(t, name, func() { g.get(callback.String()) })
		if log := g.log.String(); len(log) > 8192 || g.logins.Load() != 0 {
			t.Errorf("%s: the log has %d bytes, %d logins", name, len(log), g.logins.Load())
		}
	}
}
