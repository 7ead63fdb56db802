package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// less compares two versions of a go.mod file. Two pre-releases of the same
// version, including pseudo-versions, are compared as text. That is enough,
// because the list contains releases.
func less(a, b string) (bool, error) {
	first, firstPre, err := parse(a)
	if err != nil {
		return false, err
	}
	second, secondPre, err := parse(b)
	if err != nil {
		return false, err
	}
	if order := slices.Compare(first, second); order != 0 {
		return order < 0, nil
	}
	if firstPre == "" || secondPre == "" {
		return firstPre != "" && secondPre == "", nil
	}
	return firstPre < secondPre, nil
}

// parse splits v1.2.3-pre+incompatible into its numbers and "pre".
func parse(version string) (numbers []int, pre string, err error) {
	plain, _, _ := strings.Cut(version, "+")
	plain, pre, _ = strings.Cut(plain, "-")
	for part := range strings.SplitSeq(strings.TrimPrefix(plain, "v"), ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			return nil, "", fmt.Errorf("version %q: %w", version, err)
		}
		numbers = append(numbers, number)
	}
	if len(numbers) != 3 {
		return nil, "", fmt.Errorf("version %q: want three numbers", version)
	}
	return numbers, pre, nil
}

// minor returns v1.2 of v1.2.3.
func minor(version string) string { return version[:strings.LastIndex(version, ".")] }
