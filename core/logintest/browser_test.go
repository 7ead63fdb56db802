package logintest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

const site = "https://app.example.test"

func browserFor(handlers map[string]http.HandlerFunc) *logintest.Browser {
	mux := http.NewServeMux()
	for pattern, handler := range handlers {
		mux.HandleFunc(pattern, handler)
	}
	browser := logintest.NewBrowser()
	browser.Serve(site, mux)
	return browser
}

func redirectTo(status int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	}
}

func TestBrowserRecordsEachHop(t *testing.T) {
	t.Parallel()
	browser := browserFor(map[string]http.HandlerFunc{
		"/a": redirectTo(303, "b?x=1"),
		"/b": redirectTo(302, "https://other.example.test/c"),
		"/d": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host, r.RequestURI, r.TLS != nil) },
	})
	browser.Serve("https://other.example.test", redirectTo(301, site+"/d"))
	page, err := browser.Get(site + "/a")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, hop := range page.Hops {
		got = append(got, fmt.Sprint(hop.URL, " ", hop.Status, " ", hop.RequestHeader.Get("Sec-Fetch-Site")))
	}
	want := []string{
		site + "/a 303 none", site + "/b?x=1 302 none", "https://other.example.test/c 301 cross-site", site + "/d 200 cross-site",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	if string(page.Body) != "app.example.test/dtrue" || page.URL != site+"/d" {
		t.Errorf("got %s at %s", page.Body, page.URL)
	}
	if page, err := browser.Visit(site + "/a"); err != nil || page.Status != 303 || len(page.Hops) != 1 {
		t.Errorf("Visit: got %+v, %v", page, err)
	}
}

func TestBrowserFollowsRedirectsAsBrowsersDo(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Method, " ", string(body), " ", r.Header.Get("Origin"))
	}
	browser := browserFor(map[string]http.HandlerFunc{
		"/303": redirectTo(303, "/echo"), "/307": redirectTo(307, "/echo"), "/loop": redirectTo(302, "/loop"), "/echo": echo,
		"/bad": redirectTo(302, "http://[bad"),
	})
	for path, want := range map[string]string{
		"/echo": "POST a=b " + site, "/303": "GET  ", "/307": "POST a=b " + site,
	} {
		page, err := browser.Post(site+path, url.Values{"a": {"b"}})
		if err != nil || string(page.Body) != want {
			t.Errorf("%s: got %v, %v, want %q", path, page, err, want)
		}
	}
	for _, path := range []string{"/loop", "/bad"} {
		if page, err := browser.Get(site + path); err == nil {
			t.Errorf("%s: got %+v", path, page)
		}
	}
}

func TestBrowserHeaders(t *testing.T) {
	t.Parallel()
	browser := browserFor(map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest"), r.Header.Get("X-Mine"), len(r.Header["Accept"]))
	}})
	browser.Header = http.Header{"X-Mine": {"mine"}, "Accept": nil}
	page, err := browser.Get(site + "/")
	if err != nil || string(page.Body) != "navigatedocumentmine0" {
		t.Errorf("got %v, %v", page, err)
	}
	r, err := http.NewRequest("GET", site+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if page, err := browser.Do(r); err != nil || string(page.Body) != "0" {
		t.Errorf("Do adds headers: %s, %v", page.Body, err)
	}
	if _, err := browser.Do(&http.Request{URL: &url.URL{Path: "/"}}); err == nil {
		t.Error("a relative URL is taken")
	}
}

func TestBrowserKeepsCookiesAsBrowsersDo(t *testing.T) {
	t.Parallel()
	set := []string{
		"plain=1; Path=/", "deep=1; Path=/deep", "__Host-good=1; Path=/; Secure", "__Secure-good=1; Path=/; Secure",
		"__Host-nopath=1; Secure", "__Host-insecure=1; Path=/", "__Host-domain=1; Path=/; Secure; Domain=app.example.test",
		"__Secure-insecure=1; Path=/", "huge=" + strings.Repeat("x", 4093) + "; Path=/", "large=" + strings.Repeat("x", 4091) + "; Path=/",
		"gone=1; Path=/; Max-Age=0",
	}
	browser := browserFor(map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = set
	}})
	if _, err := browser.Get(site + "/"); err != nil {
		t.Fatal(err)
	}
	names := func(address string) string {
		var names []string
		for _, cookie := range browser.Cookies(address) {
			names = append(names, cookie.Name)
		}
		return strings.Join(names, " ")
	}
	if got, want := names(site+"/deep/x"), "deep plain __Host-good __Secure-good large"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := names("https://other.example.test/"); got != "" {
		t.Errorf("another host gets %s", got)
	}
	browser.Forget(site+"/deep/x", "deep")
	browser.Forget(site, "plain")
	if got, want := names(site+"/deep/x"), "__Host-good __Secure-good large"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	browser.SetCookie(site, &http.Cookie{Name: "planted", Value: "1"})
	if got := names(site + "/"); !strings.Contains(got, "planted") {
		t.Errorf("got %s", got)
	}
	browser.Forget("", "")
	if got := names(site + "/deep/x"); got != "" {
		t.Errorf("got %s after forgetting all", got)
	}
}

func TestTabsShareCookies(t *testing.T) {
	t.Parallel()
	browser := browserFor(map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: r.URL.Query().Get("tab"), Value: "1", Path: "/"})
	}})
	var tabs sync.WaitGroup
	for i := range 16 {
		tabs.Go(func() {
			if _, err := browser.Get(fmt.Sprintf("%s/?tab=t%d", site, i)); err != nil {
				t.Error(err)
			}
		})
	}
	tabs.Wait()
	if got := len(browser.Cookies(site)); got != 16 {
		t.Errorf("got %d cookies, want 16", got)
	}
}

func TestBrowserUsesTheNetworkForOtherOrigins(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/end", http.StatusFound)
			return
		}
		fmt.Fprint(w, "real")
	}))
	t.Cleanup(server.Close)
	page, err := logintest.NewBrowser().Get(server.URL)
	if err != nil || string(page.Body) != "real" || len(page.Hops) != 2 {
		t.Errorf("got %+v, %v", page, err)
	}
}

// A host with a certificate of a private CA.
func TestBrowserHasATransportOfItsOwn(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.SetCookie(w, &http.Cookie{Name: "__Host-a", Value: "b", Path: "/", Secure: true})
			http.Redirect(w, r, "/end", http.StatusFound)
			return
		}
		_, _ = fmt.Fprint(w, r.Header.Get("Cookie"))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	browser := logintest.NewBrowser()
	if page, err := browser.Get(server.URL); err == nil {
		t.Errorf("an unknown CA: got %+v", page)
	}
	browser.Transport = server.Client().Transport
	browser.Serve("https://app.example.test", http.RedirectHandler(server.URL+"/end", http.StatusFound))
	for _, address := range []string{server.URL, "https://app.example.test/"} {
		page, err := browser.Get(address)
		if err != nil || string(page.Body) != "__Host-a=b" || len(page.Hops) != 2 {
			t.Errorf("%s: got %+v, %v", address, page, err)
		}
	}
}

// In memory, responses behave as they do on a network.
func TestAnswersInMemoryAreLikeThoseOnTheWire(t *testing.T) {
	t.Parallel()
	answer := func(t *testing.T, handler http.HandlerFunc) (*logintest.Provider, *http.Client) {
		provider := logintest.NewProvider(issuer)
		provider.Misbehave(logintest.Faults{Intercept: func(_ logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			handler(w, r)
			return true
		}})
		return provider, provider.HTTPClient()
	}
	t.Run("a stalled answer ends with the context", func(t *testing.T) {
		t.Parallel()
		_, client := answer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", issuer+"/jwks", nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := client.Do(r); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a stalled body ends with the context", func(t *testing.T) {
		t.Parallel()
		_, client := answer(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "begun")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", issuer+"/jwks", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		begun := make([]byte, 5)
		if _, err := io.ReadFull(response.Body, begun); err != nil || string(begun) != "begun" {
			t.Fatalf("got %s, %v", begun, err)
		}
		cancel()
		if _, err := io.ReadAll(response.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a closed connection", func(t *testing.T) {
		t.Parallel()
		_, client := answer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		if _, err := client.Get(issuer + "/jwks"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a connection closed within the body", func(t *testing.T) {
		t.Parallel()
		_, client := answer(t, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "begun")
			panic(http.ErrAbortHandler)
		})
		response, err := client.Get(issuer + "/jwks")
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != "begun" {
			t.Errorf("got %s, %v", body, err)
		}
	})
	t.Run("a long body", func(t *testing.T) {
		t.Parallel()
		long := bytes.Repeat([]byte("x"), 1<<20)
		_, client := answer(t, func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				w.Write(long)
			}
		})
		response, err := client.Get(issuer + "/jwks")
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(response.Body); err != nil || len(body) != 3<<20 {
			t.Errorf("got %d bytes, %v", len(body), err)
		}
	})
	t.Run("a reader that leaves", func(t *testing.T) {
		t.Parallel()
		left := make(chan error, 1)
		_, client := answer(t, func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write([]byte("x")); err != nil {
					left <- err
					return
				}
			}
		})
		response, err := client.Get(issuer + "/jwks")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if err := <-left; err == nil {
			t.Error("the handler does not notice")
		}
	})
	t.Run("a handler that panics", func(t *testing.T) {
		t.Parallel()
		_, client := answer(t, func(http.ResponseWriter, *http.Request) { panic("a fault of the handler's") })
		if _, err := client.Get(issuer + "/jwks"); err == nil || !strings.Contains(err.Error(), "a fault of the handler's") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another origin", func(t *testing.T) {
		t.Parallel()
		_, client := answer(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
		if _, err := client.Get("https://other.example.test/jwks"); err == nil || !strings.Contains(err.Error(), "no handler for") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an unknown path", func(t *testing.T) {
		t.Parallel()
		provider := logintest.NewProvider(issuer)
		response, err := provider.HTTPClient().Get(issuer + "/nothing")
		if err != nil || response.StatusCode != http.StatusNotFound {
			t.Errorf("got %v, %v", response, err)
		}
	})
}
