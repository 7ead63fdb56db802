package seal

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"strings"
	"testing"
)

// compressedRecord is what [Compress] makes of a text, if it states another length, too.
func compressedRecord(t testing.TB, length int, text string) string {
	t.Helper()
	b := bytes.NewBuffer(binary.AppendUvarint([]byte{0}, uint64(length)))
	w, err := flate.NewWriter(b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hexText is text of n characters that takes a little more than half when compressed.
func hexText(n int) string {
	random := make([]byte, n)
	rand.Read(random)
	return hex.EncodeToString(random)[:n]
}

func TestCompressedTextComesBackAsItWas(t *testing.T) {
	t.Parallel()
	random := make([]byte, 5000)
	rand.Read(random)
	for name, test := range map[string]struct {
		text    string
		shorter bool
	}{
		"empty":                  {"", false},
		"1 KB":                   {strings.Repeat("g", 1<<10), false},
		"more than 1 KB":         {strings.Repeat("g", 1<<10+1), true},
		"hexadecimal digits":     {hexText(8000), true},
		"64 KB":                  {hexText(64 << 10), true},
		"more than 64 KB":        {strings.Repeat("g", 64<<10+1), false},
		"nothing that repeats":   {"{" + string(random), false},
		"a zero byte in the end": {strings.Repeat("g", 2000) + "\x00", true},
	} {
		compressed := Compress(test.text)
		if shorter := len(compressed) < len(test.text); shorter != test.shorter || !shorter && compressed != test.text {
			t.Errorf("%s: got %d bytes of %d", name, len(compressed), len(test.text))
		}
		if text, ok := Expand(compressed); text != test.text || !ok {
			t.Errorf("%s: comes back with %d bytes, %v", name, len(text), ok)
		}
	}
}

func TestExpandRefusesWhatCompressDoesNotMake(t *testing.T) {
	t.Parallel()
	text := hexText(2000)
	whole := Compress(text)
	if got, ok := Expand(compressedRecord(t, 2000, text)); got != text || !ok {
		t.Fatal("another level: does not expand")
	}
	refused := map[string]string{
		"one byte more":               whole + "\x00",
		"twice":                       whole + whole[1:],
		"a length of one less":        compressedRecord(t, 1999, text),
		"a length of one more":        compressedRecord(t, 2001, text),
		"more than 64 KB, and so":     compressedRecord(t, 64<<10+1, strings.Repeat("g", 64<<10+1)),
		"more than 64 KB, and not so": compressedRecord(t, 64<<10, strings.Repeat("g", 1<<24)),
		"a length of 2^63":            "\x00" + string(binary.AppendUvarint(nil, 1<<63)) + whole[3:],
		"no text":                     "\x00\x10",
		"not compressed":              "\x00\x02{}",
		"a zero byte":                 "\x00",
	}
	for i := 1; i < len(whole); i++ {
		if got, ok := Expand(whole[:i]); ok || got != "" {
			t.Fatalf("%d bytes of %d expand to %d", i, len(whole), len(got))
		}
	}
	for name, record := range refused {
		if got, ok := Expand(record); ok || got != "" {
			t.Errorf("%s: expands to %d bytes", name, len(got))
		}
	}
}

// A small value that would expand to much takes no more memory than an honest one.
func TestExpandTakesLittleMemory(t *testing.T) {
	for name, record := range map[string]string{
		"states its length":     compressedRecord(t, 1<<20, strings.Repeat("g", 1<<26)),
		"states another length": compressedRecord(t, 64<<10, strings.Repeat("g", 1<<26)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, ok := Expand(record); ok {
			t.Errorf("%s: expands", name)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<18 {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add(Compress(strings.Repeat("groups ", 300)))
	f.Add(compressedRecord(f, 1000, "short"))
	f.Add(compressedRecord(f, 5, "short"))
	f.Add("\x00\xff\xff\x03")
	f.Add(`{"sub":"ada"}`)
	f.Fuzz(func(t *testing.T, value string) {
		if text, ok := Expand(value); len(text) > 64<<10 && text != value || !ok && text != "" {
			t.Fatalf("expands to %d bytes, %v", len(text), ok)
		}
		if strings.HasPrefix(value, "\x00") {
			return // no text of Compress begins so
		}
		if text, ok := Expand(Compress(value)); text != value || !ok {
			t.Fatalf("comes back as %d bytes, %v", len(text), ok)
		}
	})
}
