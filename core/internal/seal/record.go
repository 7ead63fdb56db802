package seal

import (
	"encoding/binary"
	"strings"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

// Sealed records have a layout of their own: a version byte, fixed fields, then
// strings, each preceded by its length. Reading a field allocates nothing, which keeps
// guarded requests cheap.

// AppendString appends the length of s as a uvarint, then s.
func AppendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// AppendFlag appends 1 or 0.
func AppendFlag(b []byte, flag bool) []byte {
	if flag {
		return append(b, 1)
	}
	return append(b, 0)
}

// Uint64At returns the big-endian number in the eight bytes of record at i.
func Uint64At(record string, i int) uint64 { return binary.BigEndian.Uint64([]byte(record[i : i+8])) }

// CutString returns the string that [AppendString] put at the beginning of record, and
// the rest. Both share memory with record.
func CutString(record string) (s, rest string, ok bool) {
	length, rest, ok := cutUvarint(record)
	if !ok || length > len(rest) {
		return "", "", false
	}
	return rest[:length], rest[length:], true
}

// cutUvarint returns the number at the beginning of record, and the rest.
func cutUvarint(record string) (n int, rest string, ok bool) {
	for i := 0; i < len(record) && i < 3; i++ { // up to 2^21, which is enough
		c := record[i]
		n |= int(c&0x7f) << (7 * i)
		if c < 0x80 {
			return n, record[i+1:], true
		}
	}
	return 0, "", false
}

// AppendToken appends a token in a compact form, which saves a quarter for most tokens.
// Most tokens are base64url parts with dots between them (RFC 7515 section 3.1), and
// sealing encodes the record as base64url again. So AppendToken decodes each part that
// is base64url, and appends the other parts as they are. A flag before each part says
// which.
func AppendToken(b []byte, token string) []byte {
	b = binary.AppendUvarint(b, uint64(1+strings.Count(token, ".")))
	for piece := range strings.SplitSeq(token, ".") {
		decoded := binary.AppendUvarint(AppendFlag(b, true), uint64(base64url.DecodedLen(len(piece))))
		if decoded, err := base64url.AppendDecode(decoded, piece); err == nil {
			b = decoded
		} else {
			b = AppendString(AppendFlag(b, false), piece)
		}
	}
	return b
}

// CutToken returns the token that [AppendToken] put at the beginning of record, and the
// rest.
func CutToken(record string) (token, rest string, ok bool) {
	count, rest, ok := cutUvarint(record)
	var pieces []string
	for ; ok && count > 0; count-- {
		if rest == "" {
			return "", "", false
		}
		var piece string
		encoded := rest[0] == 1
		if piece, rest, ok = CutString(rest[1:]); encoded {
			piece = base64url.Encode([]byte(piece))
		}
		pieces = append(pieces, piece)
	}
	if !ok {
		return "", "", false
	}
	return strings.Join(pieces, "."), rest, true
}
