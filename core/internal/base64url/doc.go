// Package base64url encodes bytes as text, and decodes them. It knows base64url
// without padding (RFC 4648 section 5). It must not know what the bytes mean.
//
// Each sequence of bytes has exactly one encoding. Every other text is an error: one
// with padding, line breaks, another alphabet, or unused bits at the end that are not
// zero. So two different texts never decode to the same bytes.
package base64url
