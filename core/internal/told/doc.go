// Package told prepares texts from outside for a log: it limits their length, and
// redacts secrets. It knows strings. It must not know where a text comes from.
package told
