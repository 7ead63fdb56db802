package base64url

import (
	"bytes"
	"testing"
)

var wrong = []string{
	"A", "AAA=", "AAAA\n", "AA\r\nAA", "\n", "\n\n\n\n", "AB", "AAB", "+/+/", "AA A", "AAAA.AAAA", "ä", "\x00\x00",
}

func TestDecodeTakesOneSpelling(t *testing.T) {
	t.Parallel()
	for _, right := range []string{"", "AA", "AAA", "AAAA", "-_-_", "Zm9vYmFy"} {
		decoded, err := Decode(right)
		if err != nil || Encode(decoded) != right || len(decoded) != DecodedLen(len(right)) {
			t.Errorf("%q: got %q, %v", right, decoded, err)
		}
	}
	for _, text := range wrong {
		if decoded, err := Decode(text); err == nil || decoded != nil {
			t.Errorf("%q: got %q, %v", text, decoded, err)
		}
	}
}

func TestAppendDecodeKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "before", "Zm9v": "beforefoo"} {
		if got, err := AppendDecode([]byte("before"), text); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	if got, err := AppendDecode([]byte("before"), "Zm9v\n"); err == nil || got != nil {
		t.Errorf("a line break: got %q, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range wrong {
		f.Add(text)
	}
	f.Add("Zm9vYmFy")
	f.Fuzz(func(t *testing.T, text string) {
		decoded, err := Decode(text)
		if err == nil && Encode(decoded) != text {
			t.Fatalf("%q is another spelling of %q", text, Encode(decoded))
		}
		if again, err := Decode(Encode([]byte(text))); err != nil || !bytes.Equal(again, []byte(text)) {
			t.Fatalf("%q comes back as %q, %v", text, again, err)
		}
	})
}
