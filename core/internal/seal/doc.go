// Package seal encrypts and authenticates bytes, and encodes and compresses the records
// that are sealed. It knows keys, bytes and text. It must not know what a record means, nor
// anything of HTTP.
package seal
