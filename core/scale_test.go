package core_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/pixyauth/pixy/core"
)

// Who is logged in by cookies takes no memory of the application, however many
// they are. Not parallel: other tests' memory must not count.
func TestUsersWhoAreLoggedInTakeNoMemory(t *testing.T) {
	g := newRig(t)
	const users = 100_000
	live := func() int64 {
		runtime.GC()
		runtime.GC() // the first only empties the pools
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	visit := func(subject string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", origin+"/me", nil)
		user := core.User{Issuer: issuer, Subject: subject, Name: "Ada Lovelace", Email: "ada@example.test"}
		if err := g.auth.StartSession(w, r, user, `{"name":"Ada Lovelace"}`); err != nil {
			t.Fatal(err)
		}
		for _, c := range (&http.Response{Header: w.Header()}).Cookies() {
			r.AddCookie(c)
		}
		r, err := g.auth.Authenticate(httptest.NewRecorder(), r)
		if err != nil || core.UserFromContext(r.Context()).Subject != subject {
			t.Fatalf("%s: got %v", subject, err)
		}
	}
	visit("the first")
	before := live()
	for i := range users {
		visit(fmt.Sprint("user-", i))
	}
	// One byte for each is more than what a program's own books vary by.
	if grown := live() - before; grown > users {
		t.Errorf("%d users take %d bytes", users, grown)
	}
	runtime.KeepAlive(g)
}
