package logintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// claims are the claims of a token that a client has sent. Numbers are
// [json.Number].
type claims map[string]any

func parseClaims(payload []byte) (claims, error) {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var c claims
	if err := decoder.Decode(&c); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF || c == nil {
		return nil, errors.New("the payload is not one JSON object")
	}
	return c, nil
}

// text returns a claim that is a string, or "".
func (c claims) text(name string) string {
	value, _ := c[name].(string)
	return value
}

// time returns a claim that is a NumericDate (RFC 7519 section 2).
func (c claims) time(name string) (time.Time, bool) {
	number, ok := c[name].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := number.Float64()
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// isFor reports whether aud is this audience alone, as a string or in an array.
func (c claims) isFor(audience string) bool {
	if many, ok := c["aud"].([]any); ok {
		return len(many) == 1 && many[0] == audience
	}
	return c.text("aud") == audience
}
