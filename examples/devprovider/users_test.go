package devprovider_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/examples/devprovider"
)

// claimsOf decodes an ID token, with numbers as they are written.
func claimsOf(t *testing.T, token *oauth2.Token) (claims map[string]any) {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("got %q", raw)
	}
	decoder := json.NewDecoder(base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(parts[1])))
	decoder.UseNumber()
	if err := decoder.Decode(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestParseUsers(t *testing.T) {
	t.Parallel()
	users, err := devprovider.ParseUsers([]byte("\xef\xbb\xbf" + `[
		{"sub": "ada", "acr": "1", "address": {"country": "GB"}, "nothing": null},
		{"email": "Grace@example.test", "acr": ["1", "2"]},
		{"email": "x@example.test", "name": "X", "email_verified": false}
	]`))
	if err != nil || len(users) != 3 {
		t.Fatalf("got %v %v", users, err)
	}
	ada, grace, x := users[0], users[1], users[2]
	if ada.Subject != "ada" || len(ada.Claims) != 2 || len(ada.ACR) != 1 {
		t.Errorf("got %+v", ada)
	}
	if !strings.HasPrefix(grace.Subject, "dev-") || grace.Claims["name"] != "Grace" || grace.Claims["email_verified"] != true || len(grace.ACR) != 2 {
		t.Errorf("got %+v", grace)
	}
	if x.Claims["name"] != "X" || x.Claims["email_verified"] != false || x.ACR != nil {
		t.Errorf("got %+v", x)
	}
	if users, err := devprovider.ParseUsers([]byte("[]")); err != nil || len(users) != 0 {
		t.Errorf("no users: got %v %v", users, err)
	}
}

func TestBadUsers(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"":                                   "not JSON",
		"[\n{\"email\": \"a@b\",\n}]":        "line 3: not JSON",
		"[{}] []":                            "line 1: not JSON",
		"[\n\n{\"email\": \"a@b\"":           "line 3: not JSON",
		`{"users": []}`:                      "must be an array of users",
		"[\n1]":                              "line 2: user 1: must be an object of claims",
		"[[]]":                               "line 1: user 1: must be an object of claims",
		"[\n{}]":                             `line 2: user 1: a user needs the claim "email" or "sub"`,
		"[{\"sub\": \"a\"},\n{\"sub\":\n7}]": `line 2: user 2: claim "sub": must be a string`,
		`[{"sub": "ü"}]`:                     `claim "sub": must be at most 255 characters of ASCII`,
		`[{"sub": "` + strings.Repeat("a", 256) + `"}]`:            `claim "sub": must be at most 255`,
		"[{\"email\": \"\"}]":                                      `claim "email": must be a string that is not empty`,
		"[{\"email\": null}]":                                      `claim "email": must be a string`,
		"[{\"sub\": \"a\", \"name\": [\"Ada\"]}]":                  `claim "name": must be a string`,
		"[{\"sub\": \"a\",\n\n\"email_verified\": \"true\"}]":      `line 3: user 1: claim "email_verified": must be true or false`,
		"[{\"sub\": \"a\",\n\"acr\": 1}]":                          `line 2: user 1: claim "acr": must be a string, or an array of strings`,
		`[{"sub": "a", "acr": []}]`:                                `claim "acr"`,
		`[{"sub": "a", "acr": ["1", 2]}]`:                          `claim "acr"`,
		`[{"sub": "a", "acr": "1 2"}]`:                             `claim "acr"`,
		"[{\"sub\": \"a\",\n\"iss\": \"https://x\"}]":              `line 2: user 1: claim "iss": is set by the provider; remove it`,
		`[{"sub": "a", "auth_time": 1}]`:                           `claim "auth_time": is set by the provider`,
		"[{\"sub\": \"a\",\n\"roles\": [],\n\"roles\": []}]":       `line 3: user 1: claim "roles": occurs twice`,
		"[{\"sub\": \"a\"},\n{\"sub\": \"b\"},\n{\"sub\": \"a\"}]": `line 3: user 3: claim "sub": is the same as that of user 1`,
		"[{\"email\": \"a@b\"},\n{\"email\": \"A@B\"}]":            `line 2: user 2: claim "sub": is the same as that of user 1`,
	} {
		users, err := devprovider.ParseUsers([]byte(source))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || users != nil {
			t.Errorf("%s: got %v, %v; want %s", source, users, err, want)
		}
	}
}
