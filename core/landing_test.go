package core

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/internal/vault"
)

func TestALandingComesBackAsItWas(t *testing.T) {
	t.Parallel()
	at := time.Unix(1e9, 7)
	for _, want := range []landing{
		{at: at}, {at: at, asked: 1<<32 - 1, page: 7, count: 255, silent: true}, {at: at, asked: 7, page: 1<<32 - 1, lasts: 1<<62 + 1},
		{at: at, login: 1<<64 - 1}, {at: at, unfinished: true},
	} {
		whole := string(want.encode())
		if got, ok := decodeLanding(whole); !ok || got != want {
			t.Errorf("got %+v, %v, want %+v", got, ok, want)
		}
		for i := range whole {
			if _, ok := decodeLanding(whole[:i]); ok {
				t.Errorf("%d bytes of %d are a landing", i, len(whole))
			}
		}
		if _, ok := decodeLanding(whole + "\x00"); ok {
			t.Error("a byte too many is passed over")
		}
		if _, ok := decodeLanding("\x01" + whole[1:]); ok {
			t.Error("another version is taken")
		}
	}
}

func TestAnAttemptsFlagsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for i := range 16 {
		want := newAttempt("provider", "/", false, time.Unix(1e9, 0))
		want.required, want.guarded, want.excused, want.silent = i&1 != 0, i&2 != 0, i&4 != 0, i&8 != 0
		got, ok := decodeAttempt(string(want.encode()))
		if !ok || got.required != want.required || got.guarded != want.guarded || got.excused != want.excused || got.silent != want.silent {
			t.Errorf("%04b: got %+v", i, got)
		}
	}
}

// A session that ends by itself must not look like one that was lost.
func TestALandingIsOverBeforeItsSessionMayBe(t *testing.T) {
	t.Parallel()
	sealer, err := keyring{sessionKeys: [][]byte{[]byte("0123456789abcdef0123456789abcdef")}}.sealer(purposeLanding)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ lifetime, idle, own, lasts time.Duration }{
		{12 * time.Hour, 0, 0, time.Minute},
		{90 * time.Second, 0, 0, 45 * time.Second},
		{12 * time.Hour, 20 * time.Second, 0, 10 * time.Second},
		{time.Second, time.Hour, 0, time.Second / 2},
		{12 * time.Hour, 0, 10 * time.Second, 10 * time.Second}, // OnLogin chose 20 seconds
		{90 * time.Second, 0, 6 * time.Hour, 45 * time.Second},
	} {
		now := time.Now()
		l := newLandings(new(hosts).seal(sealer), "pixy-landed-", vault.Kind{Path: "/"}, &Config{Sessions: SessionConfig{Lifetime: test.lifetime, Idle: test.idle}}, func() time.Time { return now })
		w := httptest.NewRecorder()
		l.save(w, httptest.NewRequest("GET", "/", nil), landing{page: 7, lasts: test.own})
		set := w.Result().Cookies()
		if len(set) != 1 || set[0].MaxAge != max(1, int(test.lasts/time.Second)) {
			t.Fatalf("got %v", set)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(set[0])
		for after, want := range map[time.Duration]bool{0: true, test.lasts: true, -test.lasts: true, test.lasts + 1: false, -test.lasts - 1: false} {
			at := now
			now = now.Add(after)
			if got, ok := l.find(r); ok != want || ok && got.page != 7 {
				t.Errorf("%+v, after %s: got %v", test, after, ok)
			}
			now = at
		}
	}
}

// A logout takes away the landings of all logins that share the session's cookie,
// and no more of them than a browser could have.
func TestForgettingLandings(t *testing.T) {
	t.Parallel()
	l := &landings{prefix: "pixy-landed-", name: "pixy-landed-AAAAAAAA"}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "pixy-landed-BBBBBBBB", Value: "x"})
	r.AddCookie(&http.Cookie{Name: "pixy-landed-!", Value: "x"})
	r.AddCookie(&http.Cookie{Name: "pixy-session", Value: "x"})
	w := httptest.NewRecorder()
	l.forget(w, r)
	if got := w.Header()["Set-Cookie"]; len(got) != 0 {
		t.Errorf("forget takes away what is not there: %v", got)
	}
	l.forgetAll(w, r)
	if got := w.Header()["Set-Cookie"]; len(got) != 1 || !strings.HasPrefix(got[0], "pixy-landed-BBBBBBBB=; ") {
		t.Errorf("got %v", got)
	}
	for i := range 200 {
		r.AddCookie(&http.Cookie{Name: "pixy-landed-" + strings.Repeat(string(rune('A'+i%26)), 4+4*(i/26)), Value: "x"})
	}
	w = httptest.NewRecorder()
	l.forgetAll(w, r)
	if got := len(w.Header()["Set-Cookie"]); got != maxLandings {
		t.Errorf("%d headers for 200 cookies", got)
	}
}

// The marks at the end of a state are read in one way only, whatever the random text is.
func TestMarksOfStates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		restart, withPayload bool
	}{{false, false}, {true, false}, {false, true}, {true, true}} {
		for range 1000 {
			a := newAttempt("provider", "/", test.restart, time.Unix(1e9, 0))
			options := LoginOptions{}
			if test.withPayload {
				options.Payload = "x"
			}
			if _, err := options.bind(new(Provider), a); err != nil {
				t.Fatal(err)
			}
			restarted, withPayload, ok := wellFormedState(a.state)
			if !ok || restarted != test.restart || withPayload != test.withPayload || !isRandomText(a.state[:43]) {
				t.Fatalf("%q: got %v, %v, %v", a.state, restarted, withPayload, ok)
			}
		}
	}
	for _, state := range []string{"", payloadMark, restartMark, "x" + payloadMark} {
		if _, _, ok := wellFormedState(state); ok {
			t.Errorf("%q is well-formed", state)
		}
	}
}
