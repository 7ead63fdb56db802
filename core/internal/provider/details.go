package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	detailsParam = "authorization_details"
	maxDetails   = 16 << 10 // bytes
)

// CheckDetails returns an error if details are not authorization details to ask for: a JSON
// array of objects, each with a type (RFC 9396 section 2). The text of the error begins with
// a verb, for a name before it.
func CheckDetails(details string) error {
	types, err := detailTypes(details)
	if err == nil && len(types) == 0 {
		err = errors.New("has no element; leave it empty to ask for none")
	}
	return err
}

// detailTypes returns the types of authorization details.
func detailTypes(details string) (types []string, err error) {
	if len(details) > maxDetails {
		return nil, fmt.Errorf("has %d bytes, which is more than %d", len(details), maxDetails)
	}
	var elements []json.RawMessage
	if !utf8.ValidString(details) || json.Unmarshal([]byte(details), &elements) != nil || elements == nil {
		return nil, errors.New("is not a JSON array")
	}
	for i, element := range elements {
		if err := uniqueMembers(element); err != nil {
			return nil, fmt.Errorf("has a member twice in element %d", i)
		}
		c, err := DecodeClaims(element)
		if err != nil {
			return nil, fmt.Errorf("has an element %d that is no JSON object", i)
		}
		kind, ok := c.Text("type")
		if !ok || kind == "" {
			return nil, fmt.Errorf("has an element %d without a type that is a string", i)
		}
		types = append(types, kind)
	}
	return types, nil
}

var errTwice = errors.New("a member occurs twice")

// uniqueMembers returns an error if an object in a JSON value, at any depth, has a member
// twice. Readers would differ about its meaning. The value is valid JSON.
func uniqueMembers(value []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(value))
	var open []map[string]bool // members of each object that is open; nil for an array
	name := false              // whether the next string is the name of a member
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				open = append(open, make(map[string]bool))
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			name = len(open) > 0 && open[len(open)-1] != nil
			continue
		case string:
			if name {
				members := open[len(open)-1]
				if members[token] {
					return errTwice
				}
				members[token] = true
				name = false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}

// checkDetails returns an error if the metadata lists types of authorization details, and
// not those of details, which may be empty.
func (m *metadata) checkDetails(details string) error {
	if details == "" || len(m.DetailTypes) == 0 {
		return nil
	}
	types, err := detailTypes(details)
	if err != nil {
		return fmt.Errorf("AuthorizationDetails %w", err)
	}
	for _, kind := range types {
		if !slices.Contains(m.DetailTypes, kind) {
			return fmt.Errorf("authorization_details_types_supported has %q, and AuthorizationDetails has type %q; use another type, or have the provider offer it",
				told.Clip(strings.Join(m.DetailTypes, " ")), told.Clip(kind))
		}
	}
	return nil
}
