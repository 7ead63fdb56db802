// Package hostile makes what hostile senders send: tokens, key sets and claims, by one
// fixed key, and it measures what they cost. It is for tests alone. It knows JSON Web
// Tokens, and must not know how they are checked.
package hostile
