package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/pixyauth/pixy/core"
)

// An audit log has a line for each event.
func ExampleEvent() {
	audit := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // so that the output is always the same
		}
		return a
	}}))
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Name: "Work", Issuer: "https://id.example.com", ClientID: "app"}},
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
		Logout:      core.LogoutConfig{Revocations: new(core.MemoryRevocations)},
		OnEvent: func(ctx context.Context, e core.Event) {
			audit.InfoContext(ctx, "login", "event", e)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := auth.LogoutEverywhere(context.Background(), "https://id.example.com", "ada"); err != nil {
		fmt.Println(err)
	}
	// Output: level=INFO msg=login event.kind=logout event.provider=Work event.issuer=https://id.example.com event.subject=ada event.by=application
}
