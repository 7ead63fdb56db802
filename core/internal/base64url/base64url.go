package base64url

import (
	"encoding/base64"
	"errors"
)

// strict rejects unused bits at the end that are not zero. It ignores line breaks.
var strict = base64.RawURLEncoding.Strict()

// errEncoding does not quote the text, which may be a secret.
var errEncoding = errors.New("not canonical base64url without padding")

// Encode returns the base64url encoding of b, without padding.
func Encode(b []byte) string { return strict.EncodeToString(b) }

// Decode returns the bytes that s encodes. It returns an error if s is not the one
// encoding of any bytes.
func Decode(s string) ([]byte, error) { return AppendDecode(nil, s) }

// AppendDecode appends the bytes that s encodes to b. See [Decode] for errors.
func AppendDecode(b []byte, s string) ([]byte, error) {
	decoded, err := strict.AppendDecode(b, []byte(s))
	if err != nil || EncodedLen(len(decoded)-len(b)) != len(s) { // shorter if there are line breaks
		return nil, errEncoding
	}
	return decoded, nil
}

// EncodedLen returns the number of characters that encode n bytes.
func EncodedLen(n int) int { return strict.EncodedLen(n) }

// DecodedLen returns the number of bytes that n characters encode.
func DecodedLen(n int) int { return strict.DecodedLen(n) }
