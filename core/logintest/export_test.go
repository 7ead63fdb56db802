package logintest

import "net/url"

// Functions with tests of their own, because attacks depend on them.

func Destination(base *url.URL, location string) string { return destination(base, location) }

func Reveals(text, secret string) bool { return reveals(text, secret, 3) }

func HiddenFields(page string) url.Values { return hiddenFields([]byte(page)) }
