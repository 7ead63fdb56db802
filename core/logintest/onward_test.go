package logintest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

const elsewhere = "https://elsewhere.example.test"

func htmlPage(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, body)
	}
}

// describe responds with a description of the request.
func describe(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	var names []string
	for _, c := range r.Cookies() {
		names = append(names, c.Name)
	}
	fmt.Fprintf(w, "%s %s %s|%s|%s|%s|%s", r.Method, r.URL.RequestURI(), r.PostForm.Encode(),
		r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-User"), r.Header.Get("Origin"), strings.Join(names, " "))
}

func TestBrowserGoesWherePagesLead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, page string
		want       string // "": the page does not navigate
	}{
		{"a form that submits itself", `<body onload="document.forms[0].submit()"><form method="post" action="/there?q=1">
			<input type="hidden" name="a" value="1 &amp; &quot;2&quot; &gt;"><input type="hidden" name="a" value="3"><input name="b" value="typed"></form>
			<form method="post" action="/other"><input type="hidden" name="c" value="4"></form>`,
			"POST /there?q=1 a=1+%26+%222%22+%3E&a=3|same-origin||" + site + "|"},
		{"a form to its own page", `<FORM METHOD='POST'><input type=hidden name=x value=y></FORM><script>document.forms[0].submit()</script>`,
			"POST / x=y|same-origin||" + site + "|"},
		{"a form that waits for a person", `<form method="post" action="/there"><button>Go</button></form>`, ""},
		{"a refresh", `<meta http-equiv="refresh" content="0;url=/there?a=1&amp;b=2">`, "GET /there?a=1&b=2 |same-origin|||"},
		{"a refresh in another spelling", `<META HTTP-EQUIV=Refresh CONTENT=" 0 ; URL = '/there?a=1' ">`, "GET /there?a=1 |same-origin|||"},
		{"a refresh after a while", `<meta http-equiv="refresh" content="5;url=/there">`, ""},
		{"a reload", `<meta http-equiv="refresh" content="0">`, ""},
		{"an attribute twice", `<meta http-equiv="refresh" content="0;url=/there" content="0;url=/other">`, "GET /there |same-origin|||"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			browser := browserFor(map[string]http.HandlerFunc{"/{$}": htmlPage(test.page), "POST /{$}": describe, "/there": describe})
			page, err := browser.Get(site + "/")
			if err != nil {
				t.Fatal(err)
			}
			want, hops := test.want, 2
			if want == "" {
				want, hops = test.page, 1
			}
			if string(page.Body) != want || len(page.Hops) != hops {
				t.Errorf("got  %s at %s\nwant %s", page.Body, page.URL, want)
			}
			if visited, err := browser.Visit(site + "/"); err != nil || string(visited.Body) != test.page {
				t.Errorf("Visit: got %v, %v", visited, err)
			}
		})
	}
	t.Run("not a page", func(t *testing.T) {
		t.Parallel()
		browser := browserFor(map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `<meta http-equiv="refresh" content="0;url=/there">`)
		}})
		if page, err := browser.Get(site + "/"); err != nil || len(page.Hops) != 1 {
			t.Errorf("got %v, %v", page, err)
		}
	})
	t.Run("circles", func(t *testing.T) {
		t.Parallel()
		browser := browserFor(map[string]http.HandlerFunc{"/": htmlPage(`<meta http-equiv="refresh" content="0;url=/">`)})
		if page, err := browser.Get(site + "/"); err == nil {
			t.Errorf("got %v", page)
		}
	})
}

// The cookies that a form or a link of another site carries.
func TestBrowserKnowsSameSite(t *testing.T) {
	t.Parallel()
	set := []string{
		"lax=1; Path=/; SameSite=Lax", "strict=1; Path=/; SameSite=Strict", "unsaid=1; Path=/",
		"none=1; Path=/; SameSite=None; Secure", "insecure=1; Path=/; SameSite=None",
		"became=1; Path=/; SameSite=None; Secure", "became=2; Path=/; SameSite=Lax; Secure",
	}
	const submit = `<body onload="document.forms[0].submit()"><form method="post" action="` + site + `/%s"></form>`
	browser := browserFor(map[string]http.HandlerFunc{
		"/set":    func(w http.ResponseWriter, _ *http.Request) { w.Header()["Set-Cookie"] = set },
		"/there":  describe,
		"/bounce": htmlPage(`<meta http-equiv="refresh" content="0;url=/there">`),
		"/form":   htmlPage(fmt.Sprintf(submit, "there")),
		"/303":    redirectTo(303, "/there"), "/307": redirectTo(307, "/there"),
	})
	theirs := http.NewServeMux()
	for _, path := range []string{"there", "bounce", "303", "307"} {
		theirs.HandleFunc("/form/"+path, htmlPage(fmt.Sprintf(submit, path)))
	}
	theirs.HandleFunc("/link", redirectTo(303, site+"/there"))
	theirs.HandleFunc("/refresh", htmlPage(`<meta http-equiv="refresh" content="0;url=`+site+`/there">`))
	browser.Serve(elsewhere, theirs)
	if _, err := browser.Get(site + "/set"); err != nil {
		t.Fatal(err)
	}
	const all = "lax strict unsaid none became"
	for from, want := range map[string]string{
		elsewhere + "/form/there":  "POST /there |cross-site||" + elsewhere + "|none",
		elsewhere + "/form/307":    "POST /there |cross-site||" + elsewhere + "|none",
		elsewhere + "/form/303":    "GET /there |cross-site|||" + all,
		elsewhere + "/form/bounce": "GET /there |same-origin|||" + all,
		elsewhere + "/link":        "GET /there |cross-site|?1||" + all,
		elsewhere + "/refresh":     "GET /there |cross-site|||" + all,
		site + "/form":             "POST /there |same-origin||" + site + "|" + all,
	} {
		if page, err := browser.Get(from); err != nil || string(page.Body) != want {
			t.Errorf("%s: got %v, %v, want %s", from, page, err, want)
		}
	}
	r, err := http.NewRequest("POST", site+"/there", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if page, err := browser.Do(r); err != nil || !strings.HasSuffix(string(page.Body), "|"+all) {
		t.Errorf("Do: got %v, %v", page, err)
	}
	browser.Forget(site, "none")
	if page, err := browser.Get(elsewhere + "/form/there"); err != nil || !strings.HasSuffix(string(page.Body), "|") {
		t.Errorf("after forgetting: got %v, %v", page, err)
	}
}

func TestProviderAnswersByForm(t *testing.T) {
	t.Parallel()
	request := url.Values{
		"client_id": {"app"}, "redirect_uri": {site + "/there"}, "response_type": {"code"}, "scope": {"openid"},
		"state": {`s"<&>`}, "code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"}, "response_mode": {"form_post"},
	}
	provider := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{site + "/there"}})
	browser := browserFor(map[string]http.HandlerFunc{"/there": describe})
	browser.Serve(issuer, provider)
	ask := func(change func(url.Values)) string {
		t.Helper()
		if change != nil {
			change(request)
		}
		page, err := browser.Get(issuer + "/authorize?" + request.Encode())
		if err != nil {
			t.Fatal(err)
		}
		return string(page.Body)
	}
	if got := ask(nil); !strings.HasPrefix(got, "POST /there code=") || !strings.Contains(got, "&iss=https%3A%2F%2Fid.example.test&state=s%22%3C%26%3E|cross-site||"+issuer+"|") {
		t.Errorf("got %s", got)
	}
	provider.Misbehave(logintest.Faults{Authorization: func(answer url.Values) { answer["code"] = []string{"a", "b"}; answer.Set("user", "{}") }})
	if got := ask(nil); !strings.HasPrefix(got, "POST /there code=a&code=b&iss=") || !strings.Contains(got, "&user=%7B%7D|") {
		t.Errorf("misbehaving: got %s", got)
	}
	provider.Misbehave(logintest.Faults{})
	if got := ask(func(q url.Values) { q.Del("code_challenge") }); !strings.HasPrefix(got, "POST /there error=invalid_request&") {
		t.Errorf("an error: got %s", got)
	}
	for _, mode := range []string{"fragment", "web_message", "form_post.jwt"} {
		if got := ask(func(q url.Values) { q.Set("response_mode", mode) }); !strings.HasPrefix(got, "GET /there?error=invalid_request&") {
			t.Errorf("%s: got %s", mode, got)
		}
	}
}
