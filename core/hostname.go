package core

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// hostName returns a Host header in the form in which browsers send it: in lower case,
// without the default port of scheme. It returns false for everything else than a name, an
// IPv4 address or an IPv6 address in brackets, with or without a port. Names are ASCII,
// because browsers convert others, and have no final dot: cookies and certificates do not
// treat it alike.
func hostName(header, scheme string) (string, bool) {
	if len(header) > maxHostName {
		return "", false
	}
	upper := false
	for i := range len(header) {
		if c := header[i]; 'A' <= c && c <= 'Z' {
			upper = true
		} else if !isHostByte(c) {
			return "", false
		}
	}
	if upper {
		header = strings.ToLower(header)
	}
	name := strings.TrimSuffix(header, usualPorts[scheme])
	host, port, hasPort := name, "", false
	if !strings.HasPrefix(name, "[") {
		host, port, hasPort = strings.Cut(name, ":")
	} else if end := strings.IndexByte(name, ']'); end < 0 {
		return "", false
	} else if host = name[:end+1]; len(host) < len(name) {
		port, hasPort = strings.CutPrefix(name[end+1:], ":")
		if !hasPort {
			return "", false
		}
	}
	return name, isHost(host) && (!hasPort || isPort(port) && ":"+port != usualPorts[scheme])
}

// maxHostName is the maximum length of a name in the DNS, and a port, in bytes.
const maxHostName = 253 + len(":65535")

// isHostByte reports whether a byte may be in a host in lower case.
func isHostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == ':' || c == '[' || c == ']'
}

// isHost reports whether s is a name of labels, or an IP address in the form of browsers.
func isHost(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip := net.ParseIP(inner)
		return ok && ip != nil && ip.To4() == nil && ip.String() == inner
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if last = label; !isDNSLabel(label) {
			return false
		}
	}
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") { // browsers read a number as an IPv4 address
		ip := net.ParseIP(s)
		return ip != nil && ip.String() == s
	}
	return true
}

func isDNSLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && !strings.ContainsAny(s, ":[]")
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// withoutPort returns the host of a hostName, without brackets.
func withoutPort(name string) string {
	u := url.URL{Host: name}
	return u.Hostname()
}

// isBelow reports whether a host, perhaps with a port, is a domain or a name below it.
func isBelow(name, domain string) bool {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name = name[:i]
	}
	rest, ok := strings.CutSuffix(name, domain)
	return ok && (rest == "" || rest[len(rest)-1] == '.')
}
