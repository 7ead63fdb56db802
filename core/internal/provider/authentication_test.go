package provider

import (
	"strings"
	"testing"
	"time"
)

// The error says which of three checks failed, with the times.
func TestWhatIsWrongWithAuthTime(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)
	for name, test := range map[string]struct{ claims, want string }{
		"missing":          {`{}`, "ID token: auth_time is missing, and max_age 300 needs it"},
		"null":             {`{"auth_time":null}`, "ID token: auth_time is missing, and max_age 300 needs it"},
		"a text":           {`{"auth_time":"2026-03-04T05:06:07Z"}`, "ID token: auth_time is not a number, and max_age 300 needs one"},
		"a second early":   {`{"auth_time":1772600399}`, "ID token: auth_time is 2026-03-04T04:59:59Z, and max_age 300 needs 2026-03-04T05:00:00Z or later"},
		"just late enough": {`{"auth_time":1772600400}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := DecodeClaims([]byte(test.claims))
			if err != nil {
				t.Fatal(err)
			}
			err = c.authentication(begun).answers(Request{MaxAge: "300", Begun: begun}, c)
			if test.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}
