package logintest

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A session is what all logins with one sid have in common.
type session struct {
	subjects map[string]string // by the client that has a login of them
	expires  time.Time
}

// join makes a login part of its session.
func (p *Provider) join(g *grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessions[g.sid]
	if s == nil {
		s = &session{subjects: make(map[string]string)}
		p.sessions[g.sid] = s
	}
	s.subjects[g.client] = g.user.Subject
	s.expires = p.now().Add(refreshLifetime)
}

// endSession ends a session, tells those who are to be told by a call, and returns
// the addresses that the browser is to open for the others. Refresh tokens go on
// working: they are for when the user is offline (OpenID Connect Back-Channel
// Logout section 2.7).
func (p *Provider) endSession(ctx context.Context, sid string) (frames []string) {
	p.mu.Lock()
	s := p.sessions[sid]
	delete(p.sessions, sid)
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(s.subjects)) {
		client := p.clients[id]
		if client.BackChannelLogoutURI != "" && p.Outbound != nil {
			token := p.LogoutToken(id, User{Subject: s.subjects[id], SessionID: sid}, nil)
			// There is nobody to tell of a failure. A test sees it at Outbound.
			_, _ = PostLogoutToken(ctx, p.Outbound, client.BackChannelLogoutURI, token)
		}
		if client.FrontChannelLogoutURI != "" {
			frames = append(frames, withQuery(client.FrontChannelLogoutURI, url.Values{"iss": {p.issuer}, "sid": {sid}}))
		}
	}
	return frames
}

// withQuery adds parameters to an address, which may have some.
func withQuery(address string, more url.Values) string {
	if strings.Contains(address, "?") {
		return address + "&" + more.Encode()
	}
	return address + "?" + more.Encode()
}
