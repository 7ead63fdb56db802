// Package vault keeps what a browser carries: sealed values, in cookies or in a
// gorilla [sessions.Store] that a cookie leads to. It knows HTTP headers, cookies and
// their limits, and stores. It must not know what a value means or how it is
// sealed, nor sessions, users or providers.
//
// [sessions.Store]: https://pkg.go.dev/github.com/gorilla/sessions#Store
package vault
