package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core"
)

// story is what happens at one application.
func (a *application) story(ctx context.Context, server *keycloak) error {
	steps := []func(context.Context, *keycloak) error{
		a.namesDoNotOverlap, a.logsIn, a.refreshesOnce, a.refreshesWithoutRequest, a.logsOutAtProvider, a.leaksNothing,
	}
	for _, step := range steps {
		if err := step(ctx, server); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) say(format string, args ...any) {
	fmt.Fprintf(&a.steps, "ok      %s, at http://%s: %s\n", a.name, a.internal, fmt.Sprintf(format, args...))
}

// resolvedByBrowsers are the names that browsers resolve: *.localhost as browsers do.
func resolvedByBrowsers() *names {
	return newNames(map[string]string{public: "127.0.0.1", "127.0.0.1": "127.0.0.1"})
}

// namesDoNotOverlap makes sure that the test tests what it says.
func (a *application) namesDoNotOverlap(_ context.Context, server *keycloak) error {
	if response, err := a.client.Get(server.issuer()); err == nil {
		response.Body.Close()
		return errors.New("the application reaches Keycloak's public URL")
	}
	a.resolves.forget()
	if page, err := newBrowser(resolvedByBrowsers()).get(a.userInfo); err == nil {
		return fmt.Errorf("a browser reaches the internal URL: %s", page.Status)
	}
	a.say("the application cannot resolve %s, and browsers cannot resolve %s", public, a.internal)
	return nil
}

// logIn begins a login and fills in the provider's form.
func (a *application) logIn(b *browser) error {
	form, err := b.get(a.url + "/me")
	if err != nil {
		return err
	}
	page, err := b.logIn(form)
	if err != nil {
		return err
	}
	if page.url() != a.url+"/me" || page.StatusCode != http.StatusOK {
		return fmt.Errorf("a login ended at %s with %s: %.300s", page.url(), page.Status, page.body)
	}
	return nil
}

func (a *application) logsIn(_ context.Context, server *keycloak) error {
	b := newBrowser(resolvedByBrowsers())
	if err := a.logIn(b); err != nil {
		return err
	}
	page, err := b.get(a.url + "/me")
	if err != nil {
		return err
	}
	for _, want := range []string{server.issuer(), "Ada Lovelace", "ada@example.test", `"preferred_username":"ada"`, `"email_verified":true`} {
		if !strings.Contains(page.body, want) {
			return fmt.Errorf("the user has no %s: %s", want, page.body)
		}
	}
	a.say("a login ends at the page that was asked for, with the claims of the ID token; the issuer is %s", server.issuer())
	if !strings.Contains(page.body, `"department":"engines"`) {
		return fmt.Errorf("the claim that only UserInfo has is missing: %s", page.body)
	}
	a.say("UserInfo was asked: a claim that no ID token has is there")
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
			return nil, fmt.Errorf("a call of an API answered %s: %s", page.Status, page.body)
		}
		answers = append(answers, page.body)
	}
	slices.Sort(answers)
	return slices.Compact(answers), nil
}

// refreshesOnce lets access tokens expire. Keycloak accepts a refresh token only once.
func (a *application) refreshesOnce(context.Context, *keycloak) error {
	b := newBrowser(resolvedByBrowsers())
	if err := a.logIn(b); err != nil {
		return err
	}
	last, err := a.calls(b, 1)
	if err != nil {
		return err
	}
	a.say("an API accepts the access token of the login")
	for range 2 {
		time.Sleep(lifespan + time.Second)
		answers, err := a.calls(b, 20)
		if err != nil {
			return err
		}
		if len(answers) != 1 || answers[0] == last[0] {
			return fmt.Errorf("20 requests after the expiry had %q, and %q before", answers, last)
		}
		last = answers
	}
	a.say("twice, 20 concurrent requests after the expiry share one refresh, and the API accepts the new access token")
	return nil
}

// refreshesWithoutRequest is a job that calls an API while the user is away.
func (a *application) refreshesWithoutRequest(ctx context.Context, _ *keycloak) error {
	if err := a.logIn(newBrowser(resolvedByBrowsers())); err != nil {
		return err
	}
	grant := a.lastGrant()
	time.Sleep(lifespan + time.Second)
	if err := a.usable(ctx, grant.Token.AccessToken); err == nil {
		return errors.New("an API accepts an access token that has expired")
	}
	var wait sync.WaitGroup
	grants, errs := make([]core.Grant, 20), make([]error, 20)
	for i := range grants {
		wait.Go(func() { grants[i], errs[i] = a.auth.RefreshGrant(ctx, grant) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("RefreshGrant: %w", err)
	}
	for _, g := range grants {
		if g.Token.AccessToken != grants[0].Token.AccessToken || g.Token.RefreshToken == grant.Token.RefreshToken {
			return errors.New("20 concurrent calls of RefreshGrant made more than one refresh")
		}
	}
	if err := a.usable(ctx, grants[0].Token.AccessToken); err != nil {
		return fmt.Errorf("with the token of RefreshGrant, %w", err)
	}
	a.say("without a request, 20 concurrent calls of RefreshGrant share one refresh, and the API accepts the new access token")

	time.Sleep(lifespan + time.Second)
	saved := grants[0]
	source := a.auth.GrantSource(ctx, grants[0], func(_ context.Context, new core.Grant) error {
		saved = new
		return nil
	})
	token, err := source.Token()
	if err != nil {
		return fmt.Errorf("GrantSource: %w", err)
	}
	if err := a.usable(ctx, token.AccessToken); err != nil {
		return fmt.Errorf("with the token of GrantSource, %w", err)
	}
	if saved.Token.AccessToken != token.AccessToken {
		return errors.New("GrantSource has not saved the grant")
	}
	a.say("a GrantSource refreshes again, and saves the grant")
	return nil
}

// logsOutAtProvider ends the session here, then the one at Keycloak.
func (a *application) logsOutAtProvider(ctx context.Context, server *keycloak) error {
	b := newBrowser(resolvedByBrowsers())
	if err := a.logIn(b); err != nil {
		return err
	}
	grant := a.lastGrant()
	var visited []*url.URL
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		visited = append(visited, r.URL)
		return nil
	}
	page, err := b.logOut(a.url)
	if err != nil {
		return err
	}
	b.client.CheckRedirect = nil
	if page.url() != a.url+"/" || page.body != "home" {
		return fmt.Errorf("the logout ended at %s: %.300s", page.url(), page.body)
	}
	if len(visited) < 2 || visited[1].Scheme+"://"+visited[1].Host != strings.TrimSuffix(server.issuer(), "/realms/"+realm) || !visited[1].Query().Has("id_token_hint") { // the first is our page
		return fmt.Errorf("the logout went by %v, and not by Keycloak's public URL with a hint", visited)
	}
	a.say("the logout goes by Keycloak's public URL with an id_token_hint, needs no confirmation, and comes back")
	form, err := b.get(a.url + "/me")
	if err != nil {
		return err
	}
	if !form.asksForPassword() {
		return fmt.Errorf("after the logout, %s shows %s: %.300s", a.url+"/me", form.url(), form.body)
	}
	a.say("the session has ended here and at Keycloak, which asks for the password again")
	if _, err := a.auth.RefreshGrant(ctx, grant); !errors.Is(err, core.ErrRefused) {
		return fmt.Errorf("after the logout, RefreshGrant returns %v", err)
	}
	a.say("after the logout, RefreshGrant returns ErrRefused")
	return nil
}

// leaksNothing checks the application's log, and which names it has resolved.
func (a *application) leaksNothing(context.Context, *keycloak) error {
	if name := a.resolves.unknown(); name != "" {
		return fmt.Errorf("the application tried to reach %s", name)
	}
	log := a.log.String()
	if !strings.Contains(log, "level=WARN") || !strings.Contains(log, "InsecureHTTP") {
		return errors.New("there is no warning about InsecureHTTP in the log")
	}
	for _, grant := range a.grants {
		for _, secret := range []string{grant.Token.AccessToken, grant.Token.RefreshToken, grant.Nonce, a.secret} {
			if secret != "" && strings.Contains(log, secret) {
				return errors.New("a secret is in the log")
			}
		}
	}
	a.say("the log warns about InsecureHTTP at the start, and none of %d logins' tokens is in it", len(a.grants))
	return nil
}

// singleLogout logs one browser in at both applications, and out at one of them. Another
// browser of the same user stays logged in.
func singleLogout(apps []*application) error {
	b, elsewhere := newBrowser(resolvedByBrowsers()), newBrowser(resolvedByBrowsers())
	one, two := apps[0], apps[1]
	if err := errors.Join(one.logIn(b), two.logIn(elsewhere)); err != nil {
		return err
	}
	shown := func(b *browser) (bool, error) {
		page, err := b.get(two.url + "/me")
		return err == nil && page.url() == two.url+"/me" && page.StatusCode == http.StatusOK, err
	}
	if ok, err := shown(b); !ok {
		return fmt.Errorf("the second application asks for a password again (%v)", err)
	}
	say("single sign-on: after the login at %s, %s asks for no password", one.name, two.name)
	if page, err := b.logOut(one.url); err != nil || page.url() != one.url+"/" {
		return fmt.Errorf("the logout at %s failed (%v)", one.name, err)
	}
	// The page is read without redirects, so that no new login can begin.
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if ok, err := shown(b); ok || err != nil {
		return fmt.Errorf("the session at %s has not ended (%v)", two.name, err)
	}
	if ok, err := shown(elsewhere); !ok {
		return fmt.Errorf("the session of another browser has ended (%v)", err)
	}
	say("single logout: the logout at %s ends the session at %s by a logout token, and no session of another browser", one.name, two.name)
	return nil
}
