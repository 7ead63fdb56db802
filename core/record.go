package core

import (
	"encoding/binary"
	"strings"
)

// Sealed records are laid out by hand: a version byte, fixed fields, then
// strings with their length before them. Reading one field costs no more than
// finding it, which is why a guarded request is cheap.

// appendString appends the length of s as a uvarint, then s.
func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendFlag appends 1 or 0.
func appendFlag(b []byte, flag bool) []byte {
	if flag {
		return append(b, 1)
	}
	return append(b, 0)
}

// uint64At reads the eight bytes of record that begin at i.
func uint64At(record string, i int) uint64 { return binary.BigEndian.Uint64([]byte(record[i : i+8])) }

// cutString cuts the string that appendString put at the beginning of record.
// What it returns shares memory with record.
func cutString(record string) (s, rest string, ok bool) {
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

// appendToken appends a token a quarter shorter than it is: most of them are
// base64url, in pieces with dots between them (RFC 7515 section 3.1), and sealing
// makes base64 of everything once more. A piece that is base64url goes as what it
// stands for, with a flag before it, and every other as it is.
func appendToken(b []byte, token string) []byte {
	b = binary.AppendUvarint(b, uint64(1+strings.Count(token, ".")))
	for piece := range strings.SplitSeq(token, ".") {
		decoded := binary.AppendUvarint(appendFlag(b, true), uint64(strictBase64.DecodedLen(len(piece))))
		start := len(decoded)
		decoded, err := strictBase64.AppendDecode(decoded, []byte(piece))
		if err == nil && strictBase64.EncodedLen(len(decoded)-start) == len(piece) { // less if there are line breaks
			b = decoded
		} else {
			b = appendString(appendFlag(b, false), piece)
		}
	}
	return b
}

// cutToken cuts the token that appendToken put at the beginning of record.
func cutToken(record string) (token, rest string, ok bool) {
	count, rest, ok := cutUvarint(record)
	var pieces []string
	for ; ok && count > 0; count-- {
		if rest == "" {
			return "", "", false
		}
		var piece string
		encoded := rest[0] == 1
		if piece, rest, ok = cutString(rest[1:]); encoded {
			piece = strictBase64.EncodeToString([]byte(piece))
		}
		pieces = append(pieces, piece)
	}
	if !ok {
		return "", "", false
	}
	return strings.Join(pieces, "."), rest, true
}
