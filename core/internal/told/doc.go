// Package told makes texts from outside fit for a log: it bounds them, and hides
// secrets in them. It knows strings, and must not know where a text comes from.
package told
