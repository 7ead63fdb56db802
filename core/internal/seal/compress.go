package seal

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"strings"
)

const (
	minCompressed = 1 << 10  // bytes; compressing less is not worth the time
	maxCompressed = 64 << 10 // bytes; limits what a value that an attacker seals with a stolen key can expand to
)

// Compress returns a text that [Expand] restores. It is
//
//	zero byte ‖ length of text ‖ text, compressed (DEFLATE, RFC 1951)
//
// or text itself, if text is 1 KB or less, or more than 64 KB, or does not get shorter. The
// text must not begin with a zero byte.
//
// The length of the result depends on what text repeats. So do not compress a secret
// together with text that an attacker chooses: with many tries, the lengths tell the secret
// (CVE-2012-4929, CRIME).
func Compress(text string) string {
	if len(text) <= minCompressed || len(text) > maxCompressed {
		return text
	}
	var b bytes.Buffer
	b.Write(binary.AppendUvarint([]byte{0}, uint64(len(text))))
	// A Writer needs 0.8 MB. A pool of them would save that, and keep the texts in memory.
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return text // only for another level
	}
	io.WriteString(w, text) // a Buffer returns no error
	w.Close()
	if b.Len() >= len(text) {
		return text
	}
	return b.String()
}

// Expand returns the text that [Compress] was given. It returns false if the text is not of
// the length stated, or that is more than 64 KB. No other memory is used for it.
func Expand(compressed string) (text string, ok bool) {
	record, ok := strings.CutPrefix(compressed, "\x00")
	if !ok {
		return compressed, true
	}
	length, record, ok := cutUvarint(record)
	if !ok || length > maxCompressed {
		return "", false
	}
	source := strings.NewReader(record)
	expanding := flate.NewReader(source)
	expanded := make([]byte, length)
	if _, err := io.ReadFull(expanding, expanded); err != nil {
		return "", false
	}
	if _, err := io.ReadFull(expanding, make([]byte, 1)); err != io.EOF || source.Len() > 0 {
		return "", false
	}
	return string(expanded), true
}
