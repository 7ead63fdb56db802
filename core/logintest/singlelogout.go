package logintest

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A session groups all logins with one sid.
type session struct {
	subjects map[string]string // by client id
	expires  time.Time
}

// join adds a login to its session.
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

// endSession ends a session. It posts logout tokens to the clients that have a
// back-channel URI, and returns the front-channel addresses for the browser.
// Refresh tokens stay valid, because they are for offline access (OpenID
// Connect Back-Channel Logout section 2.7).
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
			// A failure cannot be reported. A test can see it in Outbound.
			_, _ = PostLogoutToken(ctx, p.Outbound, client.BackChannelLogoutURI, token)
		}
		if client.FrontChannelLogoutURI != "" {
			frames = append(frames, withQuery(client.FrontChannelLogoutURI, url.Values{"iss": {p.issuer}, "sid": {sid}}))
		}
	}
	return frames
}

// withQuery adds parameters to an address, which may have a query.
func withQuery(address string, more url.Values) string {
	if strings.Contains(address, "?") {
		return address + "&" + more.Encode()
	}
	return address + "?" + more.Encode()
}
