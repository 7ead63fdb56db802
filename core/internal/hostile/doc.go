// Package hostile makes hostile input for tests: tokens, key sets and claims, signed
// by one fixed key. It also measures what the input costs. Only tests use it. It knows
// JSON Web Tokens. It must not know how they are checked.
package hostile
