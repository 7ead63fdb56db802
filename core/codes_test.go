package core

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// The package documentation lists each code, with its status, and no other.
func TestTheDocumentationListsAllCodes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]int)
	for _, row := range regexp.MustCompile(`(?m)^//\t([a-z_]+) +(\d{3}) +\S`).FindAllStringSubmatch(string(page), -1) {
		listed[row[1]], err = strconv.Atoi(row[2])
		if err != nil {
			t.Fatal(err)
		}
	}
	for code, kind := range kinds {
		if listed[code] != kind.status {
			t.Errorf("%s has status %d, and is listed with %d", code, kind.status, listed[code])
		}
		if http.StatusText(kind.status) == "" || kind.public == "" {
			t.Errorf("%s has status %d and public text %q", code, kind.status, kind.public)
		}
	}
	for code := range listed {
		if _, known := kinds[code]; !known {
			t.Errorf("%s is listed, and is no code", code)
		}
	}
}
