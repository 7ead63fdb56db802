package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core"
)

// story is what happens at one application.
func (a *application) story(ctx context.Context, at server) error {
	if err := a.serve(a, at); err != nil {
		return err
	}
	steps := []func(context.Context, server) error{a.weakIsRefused, a.callsAPI, a.refreshesWithoutRequest, a.logsOut, a.leaksNothing}
	for _, step := range steps {
		if err := step(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) say(format string, args ...any) {
	fmt.Fprintf(&a.steps, "ok      %s: %s\n", a.name, fmt.Sprintf(format, args...))
}

// weakIsRefused shows that the server demands what the variant is about.
func (a *application) weakIsRefused(_ context.Context, at server) error {
	if a.weak == nil {
		return nil
	}
	if err := a.weak.serve(a, at); err != nil {
		return err
	}
	b := newBrowser(a.ca)
	page, err := b.get(a.weak.url + "/me")
	if err == nil {
		page, err = b.through(page, a.weak.url)
	}
	if err != nil {
		return err
	}
	if page.StatusCode < 400 || len(a.weak.grants) != 0 {
		return fmt.Errorf("%s, the login ended at %s", a.without, page)
	}
	log := a.weak.log.String()
	if !regexp.MustCompile(a.refusal).MatchString(log + page.body) {
		return fmt.Errorf("%s, the login ended at %s, without %q; the application logged:\n%s", a.without, page, a.refusal, log)
	}
	how := "on the server's page"
	if code := errorCode.FindStringSubmatch(log); code != nil {
		how = "with code " + code[1]
	}
	a.say("%s, a login fails %s", a.without, how)
	return nil
}

var errorCode = regexp.MustCompile(`code=(\w+)`)

// logIn begins a login and fills in the provider's forms.
func (a *application) logIn(b *browser) error {
	page, err := b.get(a.url + "/me")
	if err == nil {
		page, err = b.through(page, a.url)
	}
	if err != nil {
		return err
	}
	if page.url() != a.url+"/me" || page.StatusCode != http.StatusOK {
		return fmt.Errorf("a login ended at %s", page)
	}
	for _, want := range []string{"Ada Lovelace", "ada@example.test"} {
		if !strings.Contains(page.body, want) {
			return fmt.Errorf("the user has no %s: %s", want, page.body)
		}
	}
	if a.check != nil {
		return a.check(a.last())
	}
	return nil
}

// calls makes n requests at once that call an API with the user's access token. It
// returns the different answers.
func (a *application) calls(b *browser, n int) (answers []string, err error) {
	var wait sync.WaitGroup
	pages, errs := make([]*page, n), make([]error, n)
	for i := range n {
		wait.Go(func() { pages[i], errs[i] = b.get(a.url + "/api") })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, page := range pages {
		if page.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("a call of the API ended at %s", page)
		}
		answers = append(answers, page.body)
	}
	slices.Sort(answers)
	return slices.Compact(answers), nil
}

func (a *application) callsAPI(_ context.Context, at server) error {
	b := newBrowser(a.ca)
	if err := a.logIn(b); err != nil {
		return err
	}
	a.say("a login succeeds, with the claims of the ID token and UserInfo")
	before, err := a.calls(b, 1)
	if err != nil {
		return err
	}
	a.say("the API accepts requests of core.Client")
	time.Sleep(at.lifespan() + time.Second)
	after, err := a.calls(b, 10)
	if err != nil {
		return err
	}
	if len(after) != 1 || after[0] == before[0] {
		return fmt.Errorf("10 requests after the expiry had %q, and %q before", after, before)
	}
	a.say("after the expiry, 10 concurrent requests share one refresh, and the API accepts all")
	return nil
}

// refreshesWithoutRequest is a job that works while the user is away.
func (a *application) refreshesWithoutRequest(ctx context.Context, at server) error {
	if err := a.logIn(newBrowser(a.ca)); err != nil {
		return err
	}
	grant, _ := a.last()
	for range 2 {
		next, err := a.auth.RefreshGrant(ctx, grant)
		if err != nil {
			return fmt.Errorf("RefreshGrant: %w", err)
		}
		if next.Token.AccessToken == grant.Token.AccessToken {
			return errors.New("RefreshGrant returned the same token")
		}
		grant = next
	}
	api, save := at.api(a.variant), func(context.Context, core.Grant) error { return nil }
	if err := usable(a.auth.GrantClient(ctx, grant, save, host(api)), api); err != nil {
		return fmt.Errorf("GrantClient: %w", err)
	}
	a.say("without a request, RefreshGrant refreshes twice, and the API accepts requests of GrantClient")
	return nil
}

// logsOut ends the session here and at the server, and the tokens.
func (a *application) logsOut(ctx context.Context, _ server) error {
	b := newBrowser(a.ca)
	if err := a.logIn(b); err != nil {
		return err
	}
	grant, _ := a.last()
	application, err := url.Parse(a.url)
	if err != nil {
		return err
	}
	page, err := b.post(application, a.url+"/auth/logout", nil)
	if err == nil && page.url() == a.url+"/auth/logout" {
		page, err = b.get(a.url + "/auth/logout?continue")
	}
	if err == nil {
		page, err = b.through(page, a.url)
	}
	if err != nil {
		return err
	}
	if page.url() != a.url+"/" || page.body != "home" {
		return fmt.Errorf("the logout ended at %s", page)
	}
	if _, err := a.auth.RefreshGrant(ctx, grant); !errors.Is(err, core.ErrRefused) {
		return fmt.Errorf("after the logout, RefreshGrant returns %v", err)
	}
	a.say("a logout ends the session and revokes the tokens")
	return nil
}

// leaksNothing checks the application's log.
func (a *application) leaksNothing(context.Context, server) error {
	log := a.log.String()
	for _, grant := range a.grants {
		for _, secret := range []string{grant.Token.AccessToken, grant.Token.RefreshToken, grant.Nonce, a.secret} {
			if secret != "" && strings.Contains(log, secret) {
				return errors.New("a secret is in the log")
			}
		}
	}
	return nil
}
