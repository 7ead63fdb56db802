package core

import (
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// departureLasts is how long a browser may take from the logout here to the page that
// leads on to the provider.
const departureLasts = 5 * time.Minute

// A departure is a session that has ended here, and may go on at its provider.
type departure struct {
	at      *registration // nil: unknown, or see from
	from    origin        // of at, as the browser keeps it; see [logoutHints.arrive]
	key     string        // of the hint; empty: there is none
	idToken string        // the hint; empty: there is none
}

// An origin refers to a registration in a sealed record of a browser.
type origin struct {
	mark uint64 // of the registration's id
	name string // of a looked-up provider; empty: a listed one
}

func (r *registration) origin() origin { return origin{mark(r.id), r.lookupName()} }

// mayBe reports whether there may be a registration of this origin. It does not ask
// Lookup.Find.
func (h *logoutHints) mayBe(from origin) bool {
	if from.name != "" {
		return h.lookedUp
	}
	return h.listed(from) != nil
}

func (h *logoutHints) listed(from origin) *registration {
	return h.registrations.find(func(at *registration) bool { return mark(at.id) == from.mark })
}

// at returns the registration of an origin, or nil if it is gone or has changed. It asks
// Lookup.Find.
func (h *logoutHints) at(r *http.Request, from origin) *registration {
	if from.name == "" {
		return h.listed(from)
	}
	at, err := h.named(r.Context(), from.name)
	if at = h.known(r, at, err); at == nil || mark(at.id) != from.mark {
		return nil
	}
	return at
}

// known returns the registration to which a logout leads. If it cannot be found now, the
// logout ends here, and the outage is logged.
func (h *logoutHints) known(r *http.Request, at *registration, err error) *registration {
	if err == nil {
		return at
	}
	if !errors.Is(err, errGone) {
		h.log(r, asError(err))
	}
	return nil
}

// keepDeparture keeps gone, whose provider is known, in a sealed cookie, for the page that
// leads on to the provider. The hint stays where it is, and lasts no longer than the
// departure.
//
// The cookie has the prefix __Host-, so that no other host can set it. The hint opens
// only under the key in the cookie.
func (h *logoutHints) keepDeparture(w http.ResponseWriter, r *http.Request, gone departure) {
	from := gone.at.origin()
	record := binary.BigEndian.AppendUint64(nil, uint64(h.now().UnixNano()))
	record = append(append(binary.BigEndian.AppendUint64(record, from.mark), gone.key...), from.name...)
	h.everywhere.Set(w, h.leaving, h.on(r).Seal(h.leaving, record), departureLasts)
	if hint, ok := vault.Value(r, h.name); ok {
		h.cookies.Set(w, h.name, hint, departureLasts)
	}
	if last, ok := vault.Value(r, h.last); ok {
		h.ofSession.Set(w, h.last, last, departureLasts)
	}
}

// departure returns the departure that this browser keeps, or false. It has neither its
// registration nor its hint yet: see arrive.
func (h *logoutHints) departure(r *http.Request) (departure, bool) {
	value, _ := vault.Value(r, h.leaving)
	record, ok := h.on(r).Open(h.leaving, value)
	if !ok || len(record) < 16+hintKeySize {
		return departure{}, false
	}
	began, rest := time.Unix(0, int64(seal.Uint64At(record, 0))), record[16:]
	gone := departure{from: origin{seal.Uint64At(record, 8), rest[hintKeySize:]}, key: rest[:hintKeySize]}
	return gone, h.mayBe(gone.from) && h.now().Sub(began).Abs() <= departureLasts // clocks of replicas may differ
}

// arrive returns gone with its registration and its hint, if they are still there.
func (h *logoutHints) arrive(r *http.Request, gone departure) departure {
	if gone.at = h.at(r, gone.from); gone.at == nil {
		return gone
	}
	return h.withHint(r, gone)
}

// forgetDeparture removes the departure. It works once, and not after another login.
func (h *logoutHints) forgetDeparture(w http.ResponseWriter, r *http.Request) {
	if vault.Has(r, h.leaving) {
		h.everywhere.Remove(w, h.leaving)
	}
}
