// Package base64url writes bytes as text, and reads them back. It knows base64url
// without padding (RFC 4648 section 5), and must not know what the bytes mean.
//
// Each sequence of bytes has one spelling. Every other text is an error: padding,
// line breaks, other alphabets, and bits at the end that stand for nothing. So two
// texts that differ never stand for the same bytes.
package base64url
