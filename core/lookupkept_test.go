package core

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// newCustomers returns an Authenticator that keeps a number of looked-up providers.
func newCustomers(t testing.TB, most int, find func(ctx context.Context, name string) (*Provider, error)) *Authenticator {
	t.Helper()
	config := goodConfig()
	config.Providers, config.Lookup = nil, LookupConfig{Find: find, MaxKept: most}
	a, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func customerProvider(name string) *Provider {
	return &Provider{Issuer: "https://" + name + ".example.test", ClientID: "app", ClientSecret: "secret"}
}

func findAny(_ context.Context, name string) (*Provider, error) { return customerProvider(name), nil }

// keptNames are the names of the kept providers, the last used one first.
func (l *lookup) keptNames() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.used.Front(); e != nil; e = e.Next() {
		names = append(names, e.Value.(*registration).config.Name)
	}
	if len(l.kept) != len(names) {
		names = append(names, fmt.Sprintf("and %d of the map", len(l.kept)))
	}
	return names
}

func mustFind(t testing.TB, a *Authenticator, name string) *registration {
	t.Helper()
	at, err := a.named(t.Context(), name)
	if at == nil || err != nil {
		t.Fatalf("%s: got %v, %v", name, at, err)
	}
	return at
}

// The least recently used providers go first, whatever is asked for beside them.
func TestKeptProvidersAreBounded(t *testing.T) {
	t.Parallel()
	asked := 0
	a := newCustomers(t, 3, func(_ context.Context, name string) (*Provider, error) {
		asked++
		p := customerProvider(name)
		switch {
		case strings.HasPrefix(name, "unknown"):
			return nil, nil
		case strings.HasPrefix(name, "broken"):
			p.ClientID = ""
		case strings.HasPrefix(name, "down"):
			return nil, errors.New("the database is down")
		}
		return p, nil
	})
	first := map[string]*registration{}
	for _, step := range []struct {
		name string
		kept string // the last used one first
	}{
		{"a", "a"}, {"b", "b a"}, {"c", "c b a"}, {"a", "a c b"}, {"d", "d a c"}, {"d", "d a c"}, {"c", "c d a"}, {"e", "e c d"},
		{"unknown", "e c d"}, {"unknown2", "e c d"}, {"broken", "e c d"}, {"broken2", "e c d"}, {"down", "e c d"}, {"../x", "e c d"}, {strings.Repeat("x", 65), "e c d"},
	} {
		before := asked
		at, err := a.named(t.Context(), step.name)
		if got := strings.Join(a.lookup.keptNames(), " "); got != step.kept {
			t.Errorf("after %s: %q are kept, want %q", step.name, got, step.kept)
		}
		switch {
		case len(step.name) == 1:
			if at == nil || err != nil {
				t.Fatalf("%s: got %v", step.name, err)
			}
			if former := first[step.name]; former != nil && former != at {
				t.Errorf("%s: another registration, and it was kept", step.name)
			}
			first[step.name] = at
		case at != nil || (err != nil) != (strings.HasPrefix(step.name, "broken") || step.name == "down"):
			t.Errorf("%s: got %v, %v", step.name, at, err)
		}
		if valid := validProviderName(step.name); asked-before != map[bool]int{true: 1}[valid] {
			t.Errorf("%s: Find was asked %d times", step.name, asked-before)
		}
	}
	if at := mustFind(t, a, "a"); at == first["a"] {
		t.Error("a dropped registration came back")
	}
}

// An outage of the table drops nothing. A provider that is gone is dropped, and one that
// comes back has a new registration.
func TestKeptProvidersChange(t *testing.T) {
	t.Parallel()
	var answer *Provider
	var failure error
	a := newCustomers(t, 0, func(context.Context, string) (*Provider, error) { return answer, failure })
	answer = customerProvider("acme")
	first := mustFind(t, a, "acme")
	secret := func(at *registration) string {
		got, err := at.secret()(t.Context())
		if err != nil {
			t.Error(err)
		}
		return got
	}
	answer = customerProvider("acme") // with the same data
	answer.ClientSecret = "another"
	if at := mustFind(t, a, "acme"); at != first || secret(first) != "another" {
		t.Errorf("a new secret: the registration is new, or has %q", secret(first))
	}
	answer = customerProvider("acme")
	answer.ClientSecret, answer.Client.SecretFunc = "", func(context.Context) (string, error) { return "of the function", nil }
	if at := mustFind(t, a, "acme"); at != first || secret(first) != "of the function" {
		t.Errorf("a new SecretFunc: the registration is new, or has %q", secret(first))
	}
	failure = errors.New("the database is down")
	if _, err := a.named(t.Context(), "acme"); !errors.Is(err, ErrUnavailable) || len(a.lookup.kept) != 1 {
		t.Errorf("an outage: got %v, %d are kept", err, len(a.lookup.kept))
	}
	failure = nil
	broken := *answer
	broken.Issuer, answer = "", &broken
	if _, err := a.named(t.Context(), "acme"); err == nil {
		t.Error("a broken provider is accepted")
	}
	answer = customerProvider("acme")
	if at := mustFind(t, a, "acme"); at != first {
		t.Error("after a mistake that is mended, the registration is new")
	}
	answer = customerProvider("acme")
	answer.Scopes = []string{"openid", "email"}
	second := mustFind(t, a, "acme")
	if second == first || second.id != first.id || len(a.lookup.kept) != 1 {
		t.Errorf("other scopes: id %q after %q, %d are kept", second.id, first.id, len(a.lookup.kept))
	}
	answer = nil
	if at, err := a.named(t.Context(), "acme"); at != nil || err != nil || len(a.lookup.kept) != 0 {
		t.Errorf("removed: got %v, %v, %d are kept", at, err, len(a.lookup.kept))
	}
	answer = customerProvider("acme")
	if at := mustFind(t, a, "acme"); at == first || at == second || at.id != first.id {
		t.Error("added back: not a new registration with the former id")
	}
}

// A fieldPath is a field of Provider, such as "Client.SigningKeys.Alg", and sets it in a
// Provider to one of two values.
type fieldPath struct {
	name string
	set  func(*Provider, int)
}

// fieldPaths returns all fields below a type. It fails for a type that it does not know, so
// that a new field comes with a decision.
func fieldPaths(t *testing.T, name string, of reflect.Type, at func(*Provider) reflect.Value, values map[reflect.Type]func(int) any) (all []fieldPath) {
	t.Helper()
	if value := values[of]; value != nil {
		return []fieldPath{{name, func(p *Provider, i int) { at(p).Set(reflect.ValueOf(value(i))) }}}
	}
	switch of.Kind() {
	case reflect.Struct:
		for i := range of.NumField() {
			inner := strings.TrimPrefix(name+"."+of.Field(i).Name, ".")
			all = append(all, fieldPaths(t, inner, of.Field(i).Type, func(p *Provider) reflect.Value { return at(p).Field(i) }, values)...)
		}
		return all
	case reflect.Slice:
		return fieldPaths(t, name, of.Elem(), func(p *Provider) reflect.Value {
			slice := at(p)
			if slice.Len() == 0 {
				slice.Set(reflect.MakeSlice(of, 1, 1))
			}
			return slice.Index(0)
		}, values)
	case reflect.Func:
		return []fieldPath{{name, func(p *Provider, _ int) {
			at(p).Set(reflect.MakeFunc(of, func([]reflect.Value) []reflect.Value { panic("not called") }))
		}}}
	}
	t.Fatalf("%s has type %s, for which this test has no values; give two, and decide in Provider.sameAs whether it is compared or live", name, of)
	return nil
}

// Each field of Provider is either compared, so that another value makes a new
// registration, or the latest value of it is used. A field that is forgotten fails here.
func TestEveryFieldOfAProviderIsComparedOrLive(t *testing.T) {
	t.Parallel()
	keys := []*ecdsa.PrivateKey{newP256(t), newP256(t)}
	clients := []*http.Client{new(http.Client), new(http.Client)}
	text := []string{"one", "two"}
	all := fieldPaths(t, "", reflect.TypeFor[Provider](), func(p *Provider) reflect.Value { return reflect.ValueOf(p).Elem() }, map[reflect.Type]func(int) any{
		reflect.TypeFor[string]():            func(i int) any { return text[i] },
		reflect.TypeFor[bool]():              func(i int) any { return i == 1 },
		reflect.TypeFor[uint8]():             func(i int) any { return uint8(i) },
		reflect.TypeFor[url.Values]():        func(i int) any { return url.Values{"name": {text[i]}} },
		reflect.TypeFor[*http.Client]():      func(i int) any { return clients[i] },
		reflect.TypeFor[*x509.Certificate](): func(i int) any { return &x509.Certificate{Raw: []byte(text[i])} },
		reflect.TypeFor[crypto.Signer]():     func(i int) any { return keys[i] },
		reflect.TypeFor[crypto.PrivateKey](): func(i int) any { return keys[i] },
	})
	live := []string{"ClientSecret", "FetchUser", "Client.SecretFunc", "Client.Certificate"}
	var found []string
	for _, field := range all {
		one, same, other := new(Provider), new(Provider), new(Provider)
		field.set(one, 0)
		field.set(same, 0)
		field.set(other, 1)
		if !one.sameAs(same) {
			t.Errorf("%s: the same value counts as another", field.name)
		}
		if one.sameAs(other) {
			if !slices.Contains(live, field.name) {
				t.Errorf("%s: another value counts as the same, and is not used", field.name)
			}
			found = append(found, field.name)
			// Whether there is a value at all makes another registration.
			if field.set(one, 1); one.sameAs(new(Provider)) || new(Provider).sameAs(one) {
				t.Errorf("%s: a value counts as none", field.name)
			}
		}
	}
	if !slices.Equal(found, live) || len(all) < 40 {
		t.Errorf("%d fields, of which %q are live; want %q", len(all), found, live)
	}
}

// What is live is used at once: by a registration that was made with former values.
func TestLiveFieldsAreUsed(t *testing.T) {
	t.Parallel()
	said := errors.New("the latest")
	var answer *Provider
	a := newCustomers(t, 0, func(context.Context, string) (*Provider, error) { return answer, nil })
	with := func(err error) *Provider {
		p := customerProvider("acme")
		p.ClientSecret = ""
		p.Client.AuthMethod, p.Endpoints.AuthURL, p.Endpoints.TokenURL = "tls_client_auth", p.Issuer+"/a", p.Issuer+"/t"
		p.FetchUser = func(context.Context, *http.Client) (map[string]any, error) { return nil, err }
		p.Client.Certificate = func() (*tls.Certificate, error) { return nil, err }
		return p
	}
	answer = with(errors.New("the former"))
	at := mustFind(t, a, "acme")
	answer = with(said)
	if mustFind(t, a, "acme") != at {
		t.Fatal("functions make a new registration")
	}
	if _, err := at.certificate()(); err != said {
		t.Errorf("Certificate: got %v", err)
	}
	if _, err := at.fetcher()(t.Context(), nil, new(provider.Tokens)); !errors.Is(err, said) {
		t.Errorf("FetchUser: got %v", err)
	}
}

func newP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A slowSigner has a public key that is far away.
type slowSigner struct {
	crypto.Signer
	public func() crypto.PublicKey
}

func (s slowSigner) Public() crypto.PublicKey { return s.public() }

// No customer waits for another's: neither for the table nor for a key in a KMS.
func TestNoCustomerWaitsForAnother(t *testing.T) {
	t.Parallel()
	key, other := newP256(t), newP256(t)
	withKey := func(hang func()) *Provider {
		p := customerProvider("slow")
		p.Client.SigningKeys = []SigningKey{{Signer: slowSigner{other, func() crypto.PublicKey { hang(); return key.Public() }}}}
		return p
	}
	for name, test := range map[string]struct {
		slow func(hang func()) *Provider
		kept bool // before it becomes slow
	}{
		"Find hangs":       {func(hang func()) *Provider { hang(); return customerProvider("slow") }, false},
		"a key hangs":      {withKey, false},
		"a kept key hangs": {withKey, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var hanging atomic.Int32
				release, isSlow := make(chan struct{}), !test.kept
				hang := func() {
					if isSlow {
						hanging.Add(1)
						<-release
					}
				}
				a := newCustomers(t, 2, func(_ context.Context, name string) (*Provider, error) {
					if name != "slow" {
						return customerProvider(name), nil
					}
					return test.slow(hang), nil
				})
				if test.kept {
					mustFind(t, a, "slow")
					isSlow = true
				}
				for range 3 {
					go func() { _, _ = a.named(t.Context(), "slow") }()
					synctest.Wait()
				}
				for i := range 10 {
					mustFind(t, a, fmt.Sprint("good", i)) // or all of the bubble wait
				}
				if got := hanging.Load(); got != 3 {
					t.Errorf("%d requests hang", got)
				}
				close(release)
			})
		})
	}
}

// Whatever happens at once, each answer is a registration of its name with the latest data,
// the bound holds, and what differs is never mixed.
func TestConcurrentLookups(t *testing.T) {
	t.Parallel()
	const most, names, clients = 5, 9, 3
	issuers := func(name string, i int) string { return fmt.Sprintf("https://%s-%d.example.test", name, i) }
	a := newCustomers(t, most, func(_ context.Context, name string) (*Provider, error) {
		i := mathrand.IntN(clients + 1)
		if i == clients {
			return nil, nil
		}
		p := customerProvider(name)
		p.Issuer, p.ClientSecret = issuers(name, i), fmt.Sprint(mathrand.Int())
		return p, nil
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				name := string(rune('a' + mathrand.IntN(names)))
				at, err := a.named(t.Context(), name)
				if err != nil {
					t.Error(err)
				}
				if at == nil {
					continue
				}
				if live := at.live.Load(); at.config.Name != name || live.Issuer != at.config.Issuer || !strings.HasPrefix(at.config.Issuer, "https://"+name+"-") {
					t.Errorf("%s: got %s, %s and %s", name, at.config.Name, at.config.Issuer, live.Issuer)
				}
				if n := len(a.lookup.keptNames()); n > most {
					t.Errorf("%d are kept", n)
				}
			}
		})
	}
	all.Wait()
}

// All requests for a provider at once get one registration, so there is one fetch of its
// metadata.
func TestConcurrentFirstLookups(t *testing.T) {
	t.Parallel()
	a := newCustomers(t, 0, findAny)
	found, all := make([]*registration, 50), sync.WaitGroup{}
	for i := range found {
		all.Go(func() { found[i], _ = a.named(t.Context(), "acme") })
	}
	all.Wait()
	for _, at := range found {
		if at == nil || at != found[0] {
			t.Fatal("requests have several registrations")
		}
	}
}

// A key that is a nil pointer is a mistake of the provider, also if the provider is kept
// with another key.
func TestAKeyThatPanics(t *testing.T) {
	t.Parallel()
	good, bad := customerProvider("acme"), customerProvider("acme")
	good.ClientSecret, bad.ClientSecret = "", ""
	good.Client.SigningKeys = []SigningKey{{Signer: newP256(t)}}
	bad.Client.SigningKeys = []SigningKey{{Signer: (*ecdsa.PrivateKey)(nil)}}
	answer := good
	a := newCustomers(t, 0, func(context.Context, string) (*Provider, error) { return answer, nil })
	first := mustFind(t, a, "acme")
	answer = bad
	if at, err := a.named(t.Context(), "acme"); at != nil || err == nil || asError(err).Code != codeInvalid {
		t.Errorf("got %v, %v", at, err)
	}
	answer = good
	if at := mustFind(t, a, "acme"); at != first {
		t.Error("after a mistake that is mended, the registration is new")
	}
}
