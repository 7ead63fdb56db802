// Package page makes HTML pages in the user's language. It knows HTML and texts. It must
// not know logins, requests or responses.
package page
