// Package vault stores sealed values for a browser, in cookies or in a gorilla
// [sessions.Store] with an id in a cookie. It knows HTTP headers, cookies and their
// limits, and stores. It must not know what a value means or how it is sealed, nor
// sessions, users or providers.
//
// [sessions.Store]: https://pkg.go.dev/github.com/gorilla/sessions#Store
package vault
