package provider

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Whatever passes for authorization details is read in one way only: a list of objects,
// each with a type, without a member that is there twice.
func FuzzDetailTypes(f *testing.F) {
	for _, details := range []string{
		`[{"type":"payment","amount":{"value":"1"}}]`, `[]`, `[{"type":"a"},{"type":"b","x":[{"y":1},["y","y"]]}]`, `[{"type":"a","x":{"y":1,"y":2}}]`,
		`[{"type":"a","Type":"b"}]`, `[{"type":"a","\u0074ype":"b"}]`, `[{"type":"a"}]]`, `null`, ``, `[null]`, `[{"type":null}]`, strings.Repeat("[", 9000),
	} {
		f.Add(details)
	}
	f.Fuzz(func(t *testing.T, details string) {
		types, err := detailTypes(details)
		if err != nil {
			return
		}
		if len(details) > maxDetails {
			t.Fatalf("%d bytes", len(details))
		}
		var read []map[string]any
		decoder := json.NewDecoder(strings.NewReader(details))
		decoder.UseNumber() // keeps numbers as they are
		if err := decoder.Decode(&read); err != nil || len(read) != len(types) {
			t.Fatalf("%d types, and %d elements: %v", len(types), len(read), err)
		}
		for i, element := range read {
			if element["type"] != types[i] || types[i] == "" {
				t.Fatalf("%q and %v", types[i], element["type"])
			}
		}
		// Values that are encoded again have no member twice. If details had, they have lost one.
		if compact, again := compacted(t, details), compacted(t, encoded(t, read)); len(again) < len(compact) && !strings.Contains(details, `\`) {
			t.Fatalf("%s has become %s", compact, again)
		}
	})
}

func encoded(t *testing.T, value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func compacted(t *testing.T, text string) string {
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
