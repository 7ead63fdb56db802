// Package seal makes text of bytes that only the holder of a key can read or
// write, and lays out the records that are sealed. It knows keys, bytes and text. It
// must not know what a record says, nor anything of HTTP.
package seal
