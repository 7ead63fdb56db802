package core_test

import (
	"crypto/rand"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// unknownKeys has every ID token of subject mallory name a key that nobody has.
func unknownKeys(header, claims map[string]any) {
	header["alg"] = "ES256" // RSA takes long to sign with
	if claims["sub"] == "mallory" {
		header["kid"] = rand.Text()
	}
}

// mallory makes g's browser log in as mallory, and everybody else as ada.
func (g *rig) mallory() *rig {
	g.browser.Header = http.Header{"User-Agent": {"mallory"}}
	return g
}

func byUserAgent(_ http.ResponseWriter, r *http.Request) (logintest.User, bool) {
	if r.UserAgent() == "mallory" {
		return logintest.User{Subject: "mallory"}, true
	}
	return logintest.User{Subject: "ada"}, true
}

// CHECKLIST 80, 81: everybody who is logging in at the moment of a rotation gets
// in, by one fetch, however slow the provider is and however many they are.
func TestRotationTurnsNobodyAway(t *testing.T) {
	t.Parallel()
	for _, slow := range []time.Duration{0, time.Second, 5 * time.Second} {
		t.Run(slow.String(), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				g := newRig(t)
				g.login()
				g.provider.RotateKeys()
				g.provider.Misbehave(slowly(logintest.JWKS, slow))
				allWithin(t, g.crowd(100, func(p *rig) { p.login() }), slow, slow)
				if got := g.provider.Count(logintest.JWKS); got != 2 {
					t.Errorf("%d fetches of the keys, want 2", got)
				}
			})
		})
	}
}

// A fetch that began before the provider changed its keys does not have the new
// one. Who waits for it asks once more.
func TestRotationWhileTheKeysAreBeingFetched(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		g := newRig(t)
		g.provider.Authenticate = byUserAgent
		g.login()
		former := make(chan struct{})
		g.provider.Misbehave(logintest.Faults{
			IDToken: unknownKeys,
			JWKS: func(map[string]any) { // the answer is made before the rotation, and arrives after it
				if g.provider.Count(logintest.JWKS) == 2 {
					<-former
				}
			},
		})
		mallory := g.person().mallory()
		callback := mallory.toCallback().String()
		var hers sync.WaitGroup
		hers.Go(func() { mallory.visit(callback) }) // has the former keys fetched
		synctest.Wait()
		g.provider.RotateKeys()
		hers.Go(func() {
			time.Sleep(time.Second)
			close(former)
		})
		allWithin(t, g.crowd(20, func(p *rig) { p.login() }), time.Second, time.Second)
		hers.Wait()
		if got := g.provider.Count(logintest.JWKS); got != 3 {
			t.Errorf("%d fetches of the keys, want 3", got)
		}
	})
}

// CHECKLIST 81: a minute of tokens that name unknown keys, by many at once. The
// provider is asked once a second; who has a known key waits for nothing, and a
// real rotation lets everybody through at the next fetch.
func TestAFloodOfUnknownKeys(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]time.Duration{"fast keys": 0, "slow keys": 700 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				g := newRig(t)
				g.provider.Authenticate = byUserAgent
				g.login()
				flood := slowly(logintest.JWKS, answer)
				flood.IDToken = unknownKeys
				g.provider.Misbehave(flood)

				var over atomic.Bool
				var attackers sync.WaitGroup
				var refused atomic.Int32
				for i := range 20 {
					mallory := g.person().mallory()
					attackers.Go(func() {
						time.Sleep(time.Duration(i) * 10 * time.Millisecond)
						for !over.Load() {
							if page := mallory.visit(mallory.toCallback().String()); page.Status != http.StatusBadGateway {
								t.Errorf("got %d", page.Status)
							}
							refused.Add(1)
						}
					})
				}
				time.Sleep(5*time.Second + 123*time.Millisecond)
				start, before := time.Now(), g.provider.Count(logintest.JWKS)
				for range 10 {
					allWithin(t, g.crowd(5, func(p *rig) { p.login() }), 0, 0)
					g.provider.RotateKeys()
					// To wait: for the fetch under way, the pause, and the next fetch.
					allWithin(t, g.crowd(5, func(p *rig) { p.login() }), 0, time.Second+2*answer)
					time.Sleep(time.Second)
				}
				seconds := int(time.Since(start) / time.Second)
				if got := g.provider.Count(logintest.JWKS) - before; got > seconds+1 || got < seconds/2 {
					t.Errorf("%d fetches of the keys in %d seconds", got, seconds)
				}
				over.Store(true)
				attackers.Wait()
				if refused.Load() < 100 {
					t.Errorf("only %d tokens in the flood", refused.Load())
				}
			})
		})
	}
}
