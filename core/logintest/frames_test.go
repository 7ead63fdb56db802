package logintest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// A browser opens the frames of a page that then redirects.
func TestFrames(t *testing.T) {
	t.Parallel()
	b, _ := family(t)
	browser := logintest.NewBrowser()
	browser.Serve(issuer, b.provider)
	browser.Serve("https://app.example.test", http.NotFoundHandler())
	browser.Serve("https://apps.example.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "gone", MaxAge: -1})
		fmt.Fprint(w, r.URL, " ", r.Header.Get("Sec-Fetch-Dest"), " ", r.Header.Get("Sec-Fetch-Site"), " ", r.Header.Get("Sec-Fetch-User"), " ", r.Header.Get("Cookie"))
	}))
	for _, cookie := range []*http.Cookie{
		{Name: "lax", Value: "1", SameSite: http.SameSiteLaxMode}, {Name: "none", Value: "1", SameSite: http.SameSiteNoneMode, Secure: true},
		{Name: "gone", Value: "1", SameSite: http.SameSiteNoneMode, Secure: true},
	} {
		browser.SetCookie("https://apps.example.test/", cookie)
	}
	request := url.Values{
		"id_token_hint": {b.hint("both", "s&t")}, "post_logout_redirect_uri": {"https://app.example.test/?lt=1&gt=2"}, "state": {"a\"b"},
	}
	page, err := browser.Get(issuer + "/end-session?" + request.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if page.URL != "https://app.example.test/?lt=1&gt=2&state=a%22b" || len(page.Hops) != 2 {
		t.Fatalf("got to %s by %d hops", page.URL, len(page.Hops))
	}
	frames, err := browser.Frames(page.Hops[0])
	if err != nil || len(frames) != 1 {
		t.Fatalf("got %v, %v", frames, err)
	}
	want := "/front?lt=1&gt=2&app=both&iss=https%3A%2F%2Fid.example.test&sid=s%26t iframe cross-site  none=1; gone=1"
	if got := string(frames[0].Body); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := browser.Cookies("https://apps.example.test/"); len(got) != 2 {
		t.Errorf("a frame's cookies are not kept: %v", got)
	}
	own := logintest.Hop{URL: "https://apps.example.test/x/", Body: []byte(`<iframe src="y"></iframe><IFRAME SRC='/z'></IFRAME>`)}
	if frames, err = browser.Frames(own); err != nil || len(frames) != 2 {
		t.Fatalf("got %v, %v", frames, err)
	}
	for i, want := range []string{"/x/y iframe same-origin  lax=1; none=1", "/z iframe same-origin  lax=1; none=1"} {
		if got := string(frames[i].Body); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
