package logintest

import "net/url"

// What is tested by itself, because attacks depend on it.

func Destination(base *url.URL, location string) string { return destination(base, location) }

func Reveals(text, secret string) bool { return reveals(text, secret, 3) }

func HiddenFields(page string) url.Values { return hiddenFields([]byte(page)) }
