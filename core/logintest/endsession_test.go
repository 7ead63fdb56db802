package logintest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	kids := func() string {
		response, err := b.http.Get(issuer + "/jwks")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var set struct {
			Keys []struct{ Kid, D string }
		}
		if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
			t.Fatal(err)
		}
		var kids []string
		for _, key := range set.Keys {
			kids = append(kids, key.Kid)
			if key.D != "" {
				t.Error("a private key is served")
			}
		}
		return strings.Join(kids, " ")
	}
	_, tokens := b.token(b.form(b.code()))
	before := kids()
	b.provider.RotateKeys()
	after := kids()
	for kid := range strings.FieldsSeq(before) {
		if strings.Contains(after, kid) {
			t.Errorf("%s is still there", kid)
		}
	}
	if len(strings.Fields(after)) != 7 { // one for each algorithm
		t.Errorf("got %q", after)
	}
	// A hint that an old key has signed is valid.
	response, err := b.http.Get(issuer + "/end-session?id_token_hint=" + fmt.Sprint(tokens["id_token"]))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("a former hint: got %d", response.StatusCode)
	}
}

func TestEndSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	_, tokens := b.token(b.form(b.code()))
	hint := fmt.Sprint(tokens["id_token"])
	for _, test := range []struct {
		name     string
		request  url.Values
		status   int
		location string
	}{
		{"nothing", url.Values{}, 200, ""},
		{"by hint", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://app.example.test/"}, "state": {"s"}}, 303, "https://app.example.test/?state=s"},
		{"by client", url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {"https://app.example.test/"}}, 303, "https://app.example.test/"},
		{"unregistered URI", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.example.test/"}}, 400, ""},
		{"URI without client", url.Values{"post_logout_redirect_uri": {"https://app.example.test/"}}, 400, ""},
		{"forged hint", url.Values{"id_token_hint": {hint[:len(hint)-5] + "AAAAA"}}, 400, ""},
		{"hint of another client", url.Values{"id_token_hint": {hint}, "client_id": {"other"}}, 400, ""},
		{"doubled", url.Values{"client_id": {"app", "app"}}, 400, ""},
	} {
		for _, method := range []string{"GET", "POST"} {
			var response *http.Response
			var err error
			if method == "GET" {
				response, err = b.http.Get(issuer + "/end-session?" + test.request.Encode())
			} else {
				response, err = b.http.PostForm(issuer+"/end-session", test.request)
			}
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.status || response.Header.Get("Location") != test.location {
				t.Errorf("%s by %s: got %d to %q", test.name, method, response.StatusCode, response.Header.Get("Location"))
			}
		}
	}
}

// AllowURI registers URIs besides the lists, and Page writes what the user sees.
func TestAllowedURIsAndPages(t *testing.T) {
	t.Parallel()
	client := clients["public"]
	client.AllowURI = func(uri string) bool { return uri == "http://localhost:1/x" }
	b := newBench(t, client)
	var shown []string
	b.provider.Page = func(w http.ResponseWriter, status int, title, body string) {
		shown = append(shown, title+" "+body)
		w.WriteHeader(status)
	}
	for uri, want := range map[string]int{"http://localhost:1/x": http.StatusSeeOther, callback: http.StatusSeeOther, "http://localhost:1/<y": http.StatusBadRequest} {
		request := b.request()
		request.Set("redirect_uri", uri)
		if status, _ := b.authorize(request); status != want {
			t.Errorf("a login to %s: got %d", uri, status)
		}
		if uri == callback {
			uri = client.PostLogoutRedirectURIs[0]
		}
		response, err := b.http.Get(issuer + "/end-session?" + url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {uri}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("a logout to %s: got %d", uri, response.StatusCode)
		}
	}
	response, err := b.http.Get(issuer + "/end-session")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if len(shown) != 3 || !strings.HasPrefix(shown[0], "Bad request <p>") || strings.Contains(shown[0], "<y") || !strings.HasPrefix(shown[2], "Logged out <p>") {
		t.Errorf("got %q", shown)
	}
}
