package seal

import (
	"encoding/binary"
	"strings"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

// Sealed records are laid out by hand: a version byte, fixed fields, then
// strings with their length before them. Reading one field costs no more than
// finding it, which is why a guarded request is cheap.

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

// Uint64At reads the eight bytes of record that begin at i.
func Uint64At(record string, i int) uint64 { return binary.BigEndian.Uint64([]byte(record[i : i+8])) }

// CutString cuts the string that [AppendString] put at the beginning of record.
// What it returns shares memory with record.
func CutString(record string) (s, rest string, ok bool) {
	length, rest, ok := cutUvarint(record)
	if !ok || length > len(rest) {
		return "", "", false
	}
	return rest[:length], rest[length:], true
}

// cutUvarint cuts a number at the beginning of record.
func cutUvarint(record string) (n int, rest string, ok bool) {
	for i := 0; i < len(record) && i < 3; i++ { // 2^21 bytes are plenty
		c := record[i]
		n |= int(c&0x7f) << (7 * i)
		if c < 0x80 {
			return n, record[i+1:], true
		}
	}
	return 0, "", false
}

// AppendToken appends a token a quarter shorter than it is: most of them are
// base64url, in pieces with dots between them (RFC 7515 section 3.1), and sealing
// makes base64 of everything once more. A piece that is base64url goes as what it
// stands for, with a flag before it, and every other as it is.
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

// CutToken cuts the token that [AppendToken] put at the beginning of record.
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
