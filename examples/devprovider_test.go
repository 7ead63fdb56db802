package examples_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func testDevProvider(t *testing.T) {
	users, err := filepath.Abs("devprovider/users.json")
	if err != nil {
		t.Fatal(err)
	}
	provider := launch(t, exec.Command(filepath.Join(binaries, "devprovider"), "-users", users))
	t.Run("an example", func(t *testing.T) { testListedUser(t, provider) })
	t.Run("roles", func(t *testing.T) { testRoles(t, provider) })
	t.Run("bad settings", testBadSettings)
	t.Run("container", testContainer)
}

// testListedUser logs in a user of the list through an example, as the program's
// output says.
func testListedUser(t *testing.T, provider *process) {
	for _, printed := range []string{"believes anybody", `ClientSecret: "dev-secret"`, `ClientID:     "dev-public"`, "Issuer:       \"" + provider.url + "\""} {
		provider.prints(t, printed)
	}
	for _, client := range [][]string{{"OIDC_CLIENT_ID=dev", "OIDC_CLIENT_SECRET=dev-secret"}, {"OIDC_CLIENT_ID=dev-public"}} {
		app := start(t, "nethttp", append(client, "OIDC_ISSUER="+provider.url, "SESSION_KEY="+sessionKey)...)
		browser := logintest.NewBrowser()
		form := get(t, browser, app.url+"/me")
		page, err := browser.Post(form.URL, url.Values{"user": {"2"}})
		if err != nil {
			t.Fatal(err)
		}
		if page.Status != 200 || page.URL != app.url+"/me" {
			t.Fatalf("after login: got %d at %s: %s", page.Status, page.URL, page.Body)
		}
		_, me := api(t, browser, "GET", app.url+"/me")
		claims, _ := me["claims"].(map[string]any)
		roles, _ := claims["roles"].([]any)
		if me["name"] != "Grace Hopper" || len(roles) != 1 || roles[0] != "editor" || claims["picture"] != "https://www.example.test/grace.png" {
			t.Errorf("got %v", me)
		}
		out, err := browser.Post(app.url+"/auth/logout", nil)
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for _, hop := range out.Hops {
			told = told || strings.HasPrefix(hop.URL, provider.url+"/end-session?")
		}
		if !told || out.Status != 200 || !strings.HasPrefix(out.URL, app.url+"/") {
			t.Errorf("logout: ends with %d at %s; the provider was told: %t", out.Status, out.URL, told)
		}
		if status, _ := api(t, browser, "GET", app.url+"/me"); status != 401 {
			t.Errorf("after logout: got %d", status)
		}
	}
}

// testRoles asks an application of one's own for roles, and for stronger logins.
func testRoles(t *testing.T, provider *process) {
	const origin = "http://app.localhost:8080"
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: provider.url, ClientID: "dev", ClientSecret: "dev-secret"}},
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte(sessionKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	login, mux := httplogin.New(auth), http.NewServeMux()
	login.Mount(mux)
	mux.Handle("/admin", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !httplogin.User(r).Has("roles", "admin") {
			w.WriteHeader(http.StatusForbidden)
		}
	})))
	mux.Handle("/strong", login.Require(core.Requirement{ACR: []string{"2"}})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for _, test := range []struct {
		path string
		form url.Values
		want int
	}{
		{"/admin", url.Values{"user": {"1"}}, 200},
		{"/admin", url.Values{"user": {"2"}}, 403},
		{"/admin", url.Values{"email": {"eve@example.test"}}, 403},
		{"/admin", url.Values{"email": {"eve@example.test"}, "claims": {`{"roles": ["admin"]}`}}, 200},
		{"/strong", url.Values{"user": {"1"}}, 200},
		{"/strong", url.Values{"email": {"eve@example.test"}, "acr": {"2"}}, 200},
	} {
		browser := logintest.NewBrowser()
		browser.Serve(origin, mux)
		form := get(t, browser, origin+test.path)
		page, err := browser.Post(form.URL, test.form)
		if err != nil {
			t.Fatal(err)
		}
		if page.Status != test.want || page.URL != origin+test.path {
			t.Errorf("%s for %v: got %d at %s: %s", test.path, test.form, page.Status, page.URL, page.Body)
		}
	}
}

func testBadSettings(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "users.json")
	if err := os.WriteFile(bad, []byte("[{\"sub\": \"ada\",\n\"name\": 7}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[string]string{
		"-addr :0":                              "set -insecure-listen",
		"-addr 0.0.0.0:0":                       "set -insecure-listen",
		"-addr [::]:0":                          "set -insecure-listen",
		"-addr 192.0.2.1:0":                     "set -insecure-listen",
		"-addr example.test:0":                  "set -insecure-listen",
		"-addr nonsense":                        "bad -addr",
		"-issuer localhost:9000":                "bad -issuer",
		"-issuer http://localhost:9000?x":       "bad -issuer",
		"-redirect-uri /auth/callback":          "bad -redirect-uri",
		"-redirect-uri http://localhost:8080#x": "bad -redirect-uri",
		"-client-id=":                           "bad -client-id or -client-secret",
		"-client-secret=":                       "bad -client-id or -client-secret",
		"-users /missing/users.json":            "bad -users: /missing/users.json: no such file",
		"-users " + bad:                         "bad -users: " + bad + `: line 2: user 1: claim "name": must be a string`,
		"users.json":                            `bad argument "users.json"`,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		command := exec.CommandContext(ctx, filepath.Join(binaries, "devprovider"), strings.Fields(settings)...)
		command.Env = []string{"ADDR=127.0.0.1:0"}
		output, err := command.CombinedOutput()
		if said := string(output); err == nil || strings.Count(said, "\n") != 1 || !strings.Contains(said, want) {
			t.Errorf("%s: got %v and\n%s; want %s", settings, err, said, want)
		}
	}
	command := exec.Command(filepath.Join(binaries, "devprovider"), "-insecure-listen")
	launch(t, command, "ADDR=0.0.0.0:0").prints(t, "warning: -insecure-listen is set")
}

// testContainer checks the Dockerfile, and builds the program from the files that
// it copies, because there may be no container engine.
func testContainer(t *testing.T) {
	source, err := os.ReadFile("devprovider/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	root, stages := t.TempDir(), []string{}
	instructions := make(map[string][]string) // of the last stage
	for line := range strings.Lines(string(source)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		keyword, rest := words[0], words[1:]
		if keyword == "FROM" {
			stages = append(stages, rest[0])
			clear(instructions)
		}
		instructions[keyword] = rest
		switch {
		case keyword == "COPY" && !strings.HasPrefix(rest[0], "--"):
			for _, from := range rest[:len(rest)-1] {
				copyInto(t, root, filepath.Join("..", from), from)
			}
		case keyword == "RUN":
			// The command is Go's, without a shell.
			arguments := strings.Split(strings.Join(rest[1:], " "), " ")
			for i, argument := range arguments {
				if argument == "/devprovider" {
					arguments[i] = filepath.Join(root, "devprovider")
				}
			}
			build := exec.Command(rest[0], arguments...)
			build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	}
	goMod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(goMod), "\ngo ")
	version, _, _ = strings.Cut(version, "\n")
	if len(stages) != 2 || !strings.HasPrefix(stages[0], "golang:"+version+"-") || stages[1] != "scratch" {
		t.Errorf("the base images are %v; want golang:%s-… and scratch", stages, version)
	}
	if user := strings.Join(instructions["USER"], ""); user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("the user is %q", user)
	}
	entry := strings.Join(instructions["ENTRYPOINT"], " ")
	if port := strings.Join(instructions["EXPOSE"], ""); port == "" || !strings.Contains(entry, `"0.0.0.0:`+port+`", "-insecure-listen"`) {
		t.Errorf("exposes %q, and runs %s", port, entry)
	}
	if !bytes.HasPrefix(source, []byte("# ")) || !strings.Contains(string(source), "-p 127.0.0.1:9000:9000") {
		t.Error("does not say how to publish the port on loopback only")
	}
	testTwoAddresses(t, filepath.Join(root, "devprovider"), filepath.Join(root, "examples/devprovider/users.json"))
}

// testTwoAddresses runs the container's program as the Dockerfile does. The browser
// and the application reach it by different addresses.
func testTwoAddresses(t *testing.T, program, users string) {
	const origin, issuer = "http://app.localhost:8080", "http://id.localhost:9000"
	port := freeAddr(t)
	port = port[strings.LastIndex(port, ":"):]
	provider := exec.Command(program, "-addr", "0.0.0.0"+port, "-insecure-listen", "-issuer", issuer, "-users", users)
	if err := provider.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = provider.Process.Kill()
		_ = provider.Wait()
	})
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{
			Issuer: issuer, ClientID: "dev", ClientSecret: "dev-secret",
			Endpoints: core.EndpointConfig{InternalURL: "http://127.0.0.1" + port}, InsecureHTTP: true,
		}},
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte(sessionKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	login, mux := httplogin.New(auth), http.NewServeMux()
	login.Mount(mux)
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, httplogin.User(r).Name)
	})))
	browser := logintest.NewBrowser()
	browser.Serve(origin, mux)
	browser.Serve(issuer, forward(t, "http://127.0.0.1"+port))
	form := get(t, browser, origin+"/me")
	for range 600 { // until the program listens
		if form.Status == http.StatusOK {
			break
		}
		time.Sleep(50 * time.Millisecond)
		form = get(t, browser, origin+"/me")
	}
	page, err := browser.Post(form.URL, url.Values{"user": {"1"}})
	if err != nil || page.Status != http.StatusOK || string(page.Body) != "Ada Lovelace" {
		t.Errorf("got %v %+v", err, page)
	}
}

// copyInto copies a file or a directory.
func copyInto(t *testing.T, root, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err == nil && info.IsDir() {
		err = os.CopyFS(filepath.Join(root, to), os.DirFS(from))
	} else if err == nil {
		var content []byte
		if content, err = os.ReadFile(from); err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(root, to)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(root, to), content, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
