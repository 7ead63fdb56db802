package logintest

import (
	"net/url"
	"strings"
	"time"
)

// Attacks on a page that requires a recent or strong login. The attacker uses a
// browser in which Ada is still logged in, and can change what it sends (OpenID
// Connect Core section 3.1.3.7 (12) and (13)).
var stepUpAttacks = []attack{
	{"step-up without a new login",
		"ask for a new login, or a stronger one, before it shows a page that needs it",
		raisedByNothing},
	{"step-up taken out of the request",
		"require the requested auth_time and acr in the ID token, because the authorization request passes through the browser",
		raisedByLess},
	{"step-up with an old auth_time",
		"compare the ID token's auth_time with the requested max_age, because the provider may have ignored it",
		raisedByOldLogin},
	{"step-up with a weaker acr",
		"compare the ID token's acr with the requested values, because the provider may have ignored them",
		raisedByWeakLogin},
}

const week = 7 * 24 * time.Hour

// weary logs in Ada, who authenticated a week ago, without an acr.
func (s *siege) weary() *Browser {
	b := s.newBrowser()
	user := s.ada
	user.AuthTime = s.provider.now().Add(-week)
	s.signIn(b, user)
	return b
}

// raise opens the step-up page, and returns the login that it begins. If there
// is none, the login's callback is nil.
func (s *siege) raise(b *Browser) *login { return s.from(b, s.at(s.target.StepUp, nil)) }

// raised finishes a step-up with an ID token whose claims edit has changed, and
// reports whether the page opens.
func (s *siege) raised(l *login, edit func(claims map[string]any)) bool {
	s.misbehave(Faults{IDToken: func(_, claims map[string]any) {
		if wanted := strings.Fields(l.request.Get("acr_values")); len(wanted) > 0 {
			claims["acr"] = wanted[0]
		}
		edit(claims)
	}})
	s.finish(l)
	return s.opens(l.browser)
}

// opens reports whether the step-up page opens without another login.
func (s *siege) opens(b *Browser) bool {
	hops, _ := s.walk(b, typed(s.at(s.target.StepUp, nil)), func(next *url.URL) bool {
		return originOf(next) != s.origin || s.isCallback(next)
	})
	return hops[len(hops)-1].Status/100 == 2
}

// raisedHonestly performs a step-up that must work. If the page opens without
// one, the attacks report it.
func (s *siege) raisedHonestly() {
	if s.target.StepUp == "" {
		return
	}
	b := s.weary()
	l := s.raise(b)
	if l.callback == nil {
		if last := l.hops[len(l.hops)-1]; last.Status/100 != 2 {
			found("Target.StepUp is %s, which answered %d and led to no login", s.target.StepUp, last.Status)
		}
		return
	}
	if !l.agesAsked() && !l.request.Has("acr_values") {
		found("Target.StepUp is %s, which asks for a login without max_age, prompt=login or acr_values", s.target.StepUp)
	}
	if !s.raised(l, func(map[string]any) {}) {
		found("%s did not open after a login as recent and strong as requested", s.target.StepUp)
	}
}

func (l *login) agesAsked() bool {
	return l.request.Has("max_age") || strings.Contains(l.request.Get("prompt"), "login")
}

func raisedByNothing(s *siege) {
	if s.opens(s.weary()) {
		found("%s was shown after a login of a week ago, without acr", s.target.StepUp)
	}
}

func raisedByLess(s *siege) {
	b := s.weary()
	_, next := s.walk(b, typed(s.at(s.target.StepUp, nil)), func(next *url.URL) bool { return originOf(next) != s.origin })
	if next == nil {
		return // the page opened; raisedByNothing reports it
	}
	query := next.Query()
	for _, name := range []string{"max_age", "prompt", "acr_values", "claims"} {
		query.Del(name)
	}
	next.RawQuery = query.Encode()
	if l := s.from(b, next.String()); l.callback != nil {
		s.finish(l)
	}
	if s.opens(b) {
		found("%s opened when max_age, prompt and acr_values had been removed from the authorization request", s.target.StepUp)
	}
}

func raisedByOldLogin(s *siege) {
	old := func(claims map[string]any) { claims["auth_time"] = claims["iat"].(int64) - int64(week/time.Second) }
	unsaid := func(claims map[string]any) { delete(claims, "auth_time") }
	s.answers((*login).agesAsked, old, "an auth_time of a week ago")
	s.answers((*login).agesAsked, unsaid, "an ID token without auth_time")
}

func raisedByWeakLogin(s *siege) {
	asked := func(l *login) bool { return l.request.Has("acr_values") }
	s.answers(asked, func(claims map[string]any) { claims["acr"] = "weaker" }, "an acr that was not requested")
	s.answers(asked, func(claims map[string]any) { delete(claims, "acr") }, "an ID token without acr")
}

// answers edits the ID token of a step-up that requested what asked reports.
func (s *siege) answers(asked func(*login) bool, edit func(claims map[string]any), what string) {
	s.misbehave(Faults{})
	l := s.raise(s.weary())
	if l.callback != nil && asked(l) && s.raised(l, edit) {
		found("%s opened after %s", s.target.StepUp, what)
	}
}
