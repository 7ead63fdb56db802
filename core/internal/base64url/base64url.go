package base64url

import (
	"encoding/base64"
	"errors"
)

// strict refuses stray bits at the end. It passes over line breaks.
var strict = base64.RawURLEncoding.Strict()

// errSpelling does not quote the text, which may be a secret.
var errSpelling = errors.New("not base64url in its one spelling")

// Encode returns the base64url of b, without padding.
func Encode(b []byte) string { return strict.EncodeToString(b) }

// Decode returns the bytes that s stands for.
func Decode(s string) ([]byte, error) { return AppendDecode(nil, s) }

// AppendDecode appends the bytes that s stands for to b.
func AppendDecode(b []byte, s string) ([]byte, error) {
	decoded, err := strict.AppendDecode(b, []byte(s))
	if err != nil || EncodedLen(len(decoded)-len(b)) != len(s) { // shorter if there are line breaks
		return nil, errSpelling
	}
	return decoded, nil
}

// EncodedLen returns how many characters n bytes have.
func EncodedLen(n int) int { return strict.EncodedLen(n) }

// DecodedLen returns how many bytes n characters stand for.
func DecodedLen(n int) int { return strict.DecodedLen(n) }
