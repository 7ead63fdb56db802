package provider

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestDecodeClaimsIsStrict(t *testing.T) {
	t.Parallel()
	for name, payloads := range map[string][]string{
		"rule 76: a member twice":         {`{"a":1,"a":2}`, `{"sub":"a","x":{},"sub":"a"}`},
		"rule 76: twice in two spellings": {`{"a":1,"\u0061":2}`},
		"rule 76: something follows":      {`{"a":1}{}`, `{"a":1} x`, `{"a":1}]`},
		"rule 76: cut short":              {`{"a":1`, `{"a"`, `{`},
		"rule 76: malformed":              {`{"a"}`, `{"a":}`, `{1:2}`, `{"a":1,}`, `{"a":01}`},
		"rule 76: another type":           {`[]`, `"a"`, `null`, `7`, ``},
		"rule 76: nested without an end":  {strings.Repeat(`{"a":`, 20000), `{"a":` + strings.Repeat("[", 1e5)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, payload := range payloads {
				if _, err := DecodeClaims([]byte(payload)); err == nil {
					t.Errorf("%.40s is accepted", payload)
				}
			}
		})
	}
	for _, payload := range []string{`{}`, ` {"a":1,"b":{"a":2},"c":[{}]} `, `{"a":1,"A":2}`} {
		if _, err := DecodeClaims([]byte(payload)); err != nil {
			t.Errorf("%s: got %v", payload, err)
		}
	}
}

func TestClaimsHaveTheTypeThatIsAskedFor(t *testing.T) {
	t.Parallel()
	c, err := DecodeClaims([]byte(`{"text":"a","number":7,"null":null,"aud1":"a","half":1.5,"ISS":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"text": true, "number": false, "null": false, "absent": false, "iss": false} {
		if _, ok := c.Text(name); ok != want {
			t.Errorf("text %s: got %v", name, ok)
		}
	}
	for name, want := range map[string]bool{"number": true, "half": true, "text": false, "null": false, "absent": false} {
		if _, ok := c.date(name); ok != want {
			t.Errorf("date %s: got %v", name, ok)
		}
	}
	if got, _ := c.date("half"); !got.Equal(time.Unix(1, 0)) {
		t.Errorf("got %v", got)
	}
	for payload, want := range map[string]int{`"a"`: 1, `["a","b"]`: 2, `[]`: 0, `7`: 0, `["a",7]`: 0, `null`: 0, `{"a":1}`: 0} {
		c, err := DecodeClaims([]byte(`{"aud":` + payload + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(c.audience()); got != want {
			t.Errorf("aud %s: got %d, want %d", payload, got, want)
		}
	}
}

func FuzzDecodeClaims(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"a":2}`, `{"aud":["a"],"exp":1e300}`, `[`, `{"\ud800":"x"}`, `{"roles":1,"ROLES":2,"roleſ":3}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := DecodeClaims(payload)
		if err != nil {
			return
		}
		c.audience()
		c.date("exp")
		encoded, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%q cannot be encoded: %v", payload, err)
		}
		if again, err := DecodeClaims(encoded); err != nil || len(again) != len(c) {
			t.Fatalf("%q becomes %q: %v", payload, encoded, err)
		}
	})
}
