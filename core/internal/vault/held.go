package vault

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// HeldResponse is a ResponseWriter that collects cookies. The caller then sets them
// with Release, or drops them.
type HeldResponse struct{ header http.Header }

// Hold returns a HeldResponse without cookies.
func Hold() HeldResponse { return HeldResponse{header: make(http.Header)} }

func (h HeldResponse) Header() http.Header         { return h.header }
func (h HeldResponse) Write(b []byte) (int, error) { return len(b), nil }
func (h HeldResponse) WriteHeader(int)             {}

// size returns how many bytes the cookies take in each request.
func (h HeldResponse) size() int {
	bytes := 0
	for _, line := range h.header["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		bytes += len(pair)
	}
	return bytes
}

// CheckSize returns an error if the cookies of a session and of its tokens are too large
// together. It wraps [ErrTooLarge].
func (h HeldResponse) CheckSize() error {
	if size := h.size(); size > maxBytes {
		return fmt.Errorf("%w the browser's cookies together with the session: %d bytes", ErrTooLarge, size)
	}
	return nil
}

// endWithBrowser removes Max-Age and Expires from the collected cookies.
func (h HeldResponse) endWithBrowser() {
	for i, line := range h.header["Set-Cookie"] {
		attributes := slices.DeleteFunc(strings.Split(line, ";"), func(attribute string) bool {
			name, _, _ := strings.Cut(strings.ToLower(trimBlanks(attribute)), "=")
			return name == "max-age" || name == "expires"
		})
		h.header["Set-Cookie"][i] = strings.Join(attributes, ";")
	}
}

// Release sets the collected cookies on w.
func (h HeldResponse) Release(w http.ResponseWriter) {
	for _, line := range h.header["Set-Cookie"] {
		name, _, _ := strings.Cut(line, "=")
		unset(w.Header(), name)
		w.Header().Add("Set-Cookie", line)
	}
}
