package stores_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/adapters/redislogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const jobs = 25 // goroutines of each process

// Fifty goroutines of two processes have one grant, whose access token has expired. One of
// them refreshes it. So does one of a process that starts later, with the old grant or with
// the new one. The provider sees no refresh token twice.
func TestProcessesRefreshAGrantOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	const app = "http://127.0.0.1:1" // in memory
	provider := logintest.NewProvider("http://"+server.Listener.Addr().String(), logintest.Client{ID: "app", RedirectURIs: []string{app + "/auth/callback"}})
	server.Config.Handler = provider
	server.Start()
	t.Cleanup(server.Close)

	var grant core.Grant
	config := grantConfig(provider.Issuer())
	config.OnLogin = func(_ context.Context, login *core.Login) error { grant = login.Grant; return nil }
	auth, err := core.New(config)
	if err != nil {
		t.Fatal(err)
	}
	browser := logintest.NewBrowser()
	browser.Serve(provider.Issuer(), provider)
	mux := http.NewServeMux()
	httplogin.New(auth).Mount(mux)
	browser.Serve(app, mux)
	if _, err := browser.Get(app + "/auth/login"); err != nil || grant.Token.RefreshToken == "" {
		t.Fatalf("got %v, %v", grant, err)
	}

	expire(&grant)
	first := run(t, grant, 2)
	if got := provider.Refreshes(); got != 1 {
		t.Errorf("two processes: %d refreshes", got)
	}
	if late := run(t, grant, 1); !same(late, first) || provider.Refreshes() != 1 {
		t.Errorf("a process with the old grant: %d refreshes", provider.Refreshes())
	}
	expire(&first)
	if second := run(t, first, 2); same(second, first) || provider.Refreshes() != 2 {
		t.Errorf("two processes with the new grant: %d refreshes", provider.Refreshes())
	}
	if provider.Reused() != 0 {
		t.Errorf("%d refresh tokens were used again", provider.Reused())
	}
}

func expire(grant *core.Grant) {
	grant.RefreshDue, grant.Token.Expiry = time.Time{}, time.Now().Add(-time.Minute)
}

func same(a, b core.Grant) bool {
	return a.Token.AccessToken == b.Token.AccessToken && a.Token.RefreshToken == b.Token.RefreshToken
}

func grantConfig(issuer string) core.Config {
	return core.Config{
		Providers:   []core.Provider{{Name: "Work", Issuer: issuer, ClientID: "app", Scopes: []string{"openid", "offline_access"}, RedirectURL: "http://127.0.0.1:1/auth/callback"}},
		RedirectURL: "http://127.0.0.1:1/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
	}
}

// run starts processes with a grant, lets them go at once, and returns the grant that all
// of their goroutines got and saved.
func run(t *testing.T, grant core.Grant, processes int) core.Grant {
	t.Helper()
	stored, err := json.Marshal(grant)
	if err != nil {
		t.Fatal(err)
	}
	var starts []io.Closer
	printed := make([]bytes.Buffer, processes)
	var ended sync.WaitGroup
	for i := range processes {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), "GRANT="+string(stored), "PREFIX="+t.Name()+":")
		input, err := command.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		command.Stderr = os.Stderr
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(output)
		if line, err := lines.ReadString('\n'); line != "ready\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		starts = append(starts, input)
		ended.Go(func() {
			io.Copy(&printed[i], lines)
			if err := command.Wait(); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
	}
	for _, start := range starts {
		start.Close()
	}
	ended.Wait()
	var all []core.Grant
	for i := range printed {
		line, _, _ := strings.Cut(printed[i].String(), "\n")
		var saved core.Grant
		if err := json.Unmarshal([]byte(line), &saved); err != nil {
			t.Fatalf("process %d printed %q: %v", i, line, err)
		}
		if all = append(all, saved); !same(saved, all[0]) {
			t.Errorf("process %d has other tokens", i)
		}
	}
	return all[0]
}

// TestMain runs the job instead of the tests in the processes that run starts.
func TestMain(m *testing.M) {
	if os.Getenv("GRANT") == "" {
		os.Exit(m.Run())
	}
	if err := grantJob(os.Getenv("GRANT"), os.Getenv("REDIS_URL"), os.Getenv("PREFIX")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// grantJob uses a grant in many goroutines, and prints the grant that was saved.
func grantJob(stored, redisURL, prefix string) error {
	var grant, saved core.Grant
	err1 := json.Unmarshal([]byte(stored), &grant)
	options, err2 := redis.ParseURL(redisURL)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	shared := redislogin.New(redis.NewClient(options))
	shared.Prefix = prefix
	config := grantConfig(grant.Issuer)
	config.Tokens.Refreshes = shared
	auth, err := core.New(config)
	if err != nil {
		return err
	}
	saves := 0
	source := auth.GrantSource(context.Background(), grant, func(_ context.Context, fresh core.Grant) error {
		saves++
		saved = fresh
		return nil
	})
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin) // until all processes are there
	failures := make([]error, jobs)
	var all sync.WaitGroup
	for i := range jobs {
		all.Go(func() {
			token, err := source.Token()
			if err == nil && token.AccessToken != saved.Token.AccessToken {
				err = errors.New("another token was saved")
			}
			failures[i] = err
		})
	}
	all.Wait()
	if saves != 1 {
		failures = append(failures, fmt.Errorf("%d saves", saves))
	}
	return errors.Join(append(failures, json.NewEncoder(os.Stdout).Encode(saved))...)
}
