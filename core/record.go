package core

import "encoding/binary"

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
	var length uint64
	for i := 0; i < len(record) && i < 3; i++ { // 2^21 bytes are plenty
		c := record[i]
		length |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			rest = record[i+1:]
			if length > uint64(len(rest)) {
				return "", "", false
			}
			return rest[:length], rest[length:], true
		}
	}
	return "", "", false
}
