package core

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	// customerParam is the field of the form where users type who they are.
	customerParam = "customer"

	// maxTyped is the maximum length of that, in bytes. E-mail addresses have at most 254
	// (RFC 5321 section 4.5.3.1.3).
	maxTyped = 256
)

// What our page says if what was typed leads nowhere.
const (
	noSuchCustomer = "There is no login for this e-mail address or organization. Please check what you typed, and try again."
	notAnAddress   = "Please enter your whole e-mail address, such as name@example.com."
)

// readTyped returns what a user typed, and whether it is valid: one line of at most
// maxTyped bytes. White space, and characters that are not visible, are removed at both
// ends, because they come with text that is pasted.
func readTyped(values []string) (string, bool) {
	const spaces = 64 // bytes, at both ends
	if len(values) != 1 || len(values[0]) > maxTyped+spaces || !utf8.ValidString(values[0]) {
		return "", false
	}
	typed := strings.TrimFunc(values[0], func(c rune) bool { return c == ' ' || !unicode.IsPrint(c) })
	typed = strings.Join(strings.Fields(typed), " ")
	if !validLoginHint(typed) {
		return "", false
	}
	return typed, true
}

// isAddress reports whether what was typed may be an e-mail address. Nothing more can be
// said without sending to it.
func isAddress(typed string) bool {
	name, domain, ok := strings.Cut(typed, "@")
	return ok && name != "" && domain != "" && !strings.ContainsAny(typed, " <>,;") && !strings.Contains(domain, "@")
}

// withTyped returns options that pass on to the provider what was typed, if it is an
// e-mail address. It replaces a login_hint from before.
func (o LoginOptions) withTyped(typed string) LoginOptions {
	params := cloneValues(o.AuthParams)
	if params.Del("login_hint"); isAddress(typed) {
		params.Set("login_hint", typed)
	}
	o.AuthParams = params
	return o
}

// nameFor returns the name of the provider for a login, or "" if the user chooses it. If
// the request says already which customer it is for, the login's route has no other
// provider.
func (a *Authenticator) nameFor(t *turn, asked string) (string, error) {
	if a.config.Lookup.Choose == nil || asked != "" && !t.byRoute {
		return asked, nil
	}
	switch known, err := a.customer(t.r, ""); {
	case err != nil:
		return asked, err
	case known != "" && asked != "" && asked != known:
		return asked, fail(codeUnknownName, fmt.Errorf("the login asks for provider %q, and Lookup.Choose says that this request is for another", told.Clip(asked)))
	case known != "":
		return known, nil
	}
	return asked, nil
}

// customer asks Lookup.Choose.
func (a *Authenticator) customer(r *http.Request, typed string) (string, error) {
	name, err := a.config.Lookup.Choose(r, typed)
	if err != nil {
		return "", fail(codeLookup, fmt.Errorf("Lookup.Choose: %w", err))
	}
	return name, nil
}

// loginByCustomer answers a form that says what a user typed. A page leads on to the
// login at the provider: browsers apply the form-action of the form's page to all
// redirects.
func (a *Authenticator) loginByCustomer(t *turn) error {
	if err := a.misplaced(t.r); err != nil {
		return err
	}
	noStore(t.w)
	options, err := a.optionsIn(t, t.r.PostForm)
	if err != nil {
		return err
	}
	var valid bool
	t.typed, valid = readTyped(t.r.PostForm[customerParam])
	if !mayNavigate(t.r) {
		return a.typedInScript(t, options)
	}
	if checkOrigin(t.r, t.origin) != nil || t.typed == "" && valid {
		a.serveChooser(t, options, "") // another site may fill the form in, and only the user sends it
		return nil
	}
	name, err := a.nameFor(t, "")
	switch {
	case err != nil || name != "":
	case a.config.Lookup.SendLink != nil:
		return a.answerWithLink(t, options)
	case valid:
		name, err = a.customer(t.r, t.typed)
	}
	if err == nil && name != "" {
		name, err = a.exists(t.r, name)
	}
	if err != nil {
		t.again = &options // our page again
		return untold(err, t.typed)
	}
	if name == "" {
		a.serveChooser(t, options, a.languageOf(t.r).Say(noSuchCustomer))
		return nil
	}
	options = a.forBrowser(t, options.withTyped(t.typed))
	a.serveOneMoment(t.w, t.r, "", a.loginURLAt(t.r, name, options))
	return nil
}

// exists returns the name of a provider, or "" if there is none with that name. One that
// cannot be used exists: the login there says so, and only to users who are led there.
func (a *Authenticator) exists(r *http.Request, name string) (string, error) {
	at, err := a.named(r.Context(), name)
	if err != nil && asError(err).Code != codeInvalid {
		return "", err
	}
	if err == nil && at == nil {
		return "", nil
	}
	return name, nil
}

// typedInScript answers a form that a script has sent. Scripts of htmx and Turbo load our
// page in full, with what was typed. Nothing else happens.
func (a *Authenticator) typedInScript(t *turn, options LoginOptions) error {
	if t.typed != "" { // sealed, and not in the URL
		options.AuthParams = cloneValues(options.AuthParams)
		options.AuthParams.Set("login_hint", t.typed)
	}
	if !isHTMX(t.r) && !isTurbo(t.r) {
		t.again = &options
		return fail(codeNoNavigation, nil)
	}
	redirect(t.w, a.loginURLFor(t, options))
	return nil
}

// errNothingToChoose is a login without a provider, where no provider is listed and no
// page asks the user.
func errNothingToChoose() *Error {
	failure := fail(codeUnknownName, errors.New("the login names no provider, none is listed in Config.Providers, and Lookup.Choose is not set"))
	failure.Public = "Please log in with the link that your organization has given you."
	return failure
}

// untold returns err with a text that does not have what the user typed, for the log. The
// text may be one of the application's.
func untold(err error, typed string) error {
	failure := asError(err)
	if failure.Err != nil {
		failure.Err = &untoldError{failure.Err, typed}
	}
	return failure
}

type untoldError struct {
	error
	typed string
}

func (e *untoldError) Error() string { return redactTyped(e.error.Error(), e.typed) }

func (e *untoldError) Unwrap() error { return e.error }

func redactTyped(text, typed string) string {
	return told.Redact(text, typed, strings.ToLower(typed))
}
