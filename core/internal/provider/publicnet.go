package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"syscall"
	"time"
)

// The network guard: what Config.PublicOnly demands of connections. A provider that a
// customer brings must not lead the application into the application's own network
// (server-side request forgery).

// Dial connects to an address. It calls allowed with each IP address and port before it
// connects to that address, and does not connect to it if allowed returns an error.
type Dial func(ctx context.Context, network, address string, allowed func(ipAndPort string) error) (net.Conn, error)

// NewPublicClient is NewClient for a provider with Config.PublicOnly: the client makes
// https requests to port 443 of public addresses. It uses no proxy, because a proxy hides
// the address. The dial function of custom is replaced by dial, or, if that is nil, by a
// [net.Dialer].
func NewPublicClient(custom *http.Client, dial Dial) (*http.Client, error) {
	transport, err := publicTransport(custom)
	if err != nil {
		return nil, err
	}
	if dial == nil {
		dial = dialWith(nil)
	}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dial(ctx, network, address, checkAddress)
	}
	guarded := new(http.Client)
	if custom != nil {
		*guarded = *custom
	}
	guarded.Transport = transport
	client := NewClient(guarded)
	capped, ok := client.Transport.(cappedTransport)
	if !ok {
		return nil, errors.New("has no limits") // impossible: NewClient
	}
	capped.public = true
	client.Transport = capped
	return client, nil
}

// CheckPublicClient returns the error of NewPublicClient. The text begins with a verb, for
// a name before it.
func CheckPublicClient(custom *http.Client) error {
	_, err := publicTransport(custom)
	return err
}

// publicTransport returns a copy of the transport of a client, without its ways to make
// connections. It returns an error if the connections cannot be replaced.
func publicTransport(custom *http.Client) (*http.Transport, error) {
	base := http.DefaultTransport
	ours := custom == nil || custom.Transport == nil
	if !ours {
		base = custom.Transport
	}
	standard, ok := base.(*http.Transport)
	switch {
	case !ok && ours: // the program has replaced it
		return nil, fmt.Errorf("has no Transport, and http.DefaultTransport is of type %T, whose connections cannot be checked; give an *http.Transport", base)
	case !ok:
		return nil, fmt.Errorf("has a Transport of type %T, whose connections cannot be checked; give an *http.Transport", base)
	case ours: // replacing the dial functions of the default transport takes nothing away
	//lint:ignore SA1019 an application may still set Dial and DialTLS
	case standard.DialTLSContext != nil, standard.DialTLS != nil, standard.Dial != nil, !isPlainDial(standard.DialContext):
		return nil, errors.New("has a Transport that makes its own connections, which cannot be checked; leave DialContext, Dial, DialTLSContext and DialTLS nil")
	}
	transport := cloneForTLS(standard)
	transport.Proxy = nil
	transport.DialTLSContext = nil
	//lint:ignore SA1019 an application may still set Dial and DialTLS
	transport.Dial, transport.DialTLS = nil, nil
	if len(transport.TLSNextProto) > 0 {
		transport.TLSNextProto = nil // its HTTP/2 may use connections of the former transport
	}
	if transport.MaxResponseHeaderBytes == 0 {
		transport.MaxResponseHeaderBytes = maxProviderHeader
	}
	if transport.IdleConnTimeout == 0 {
		transport.IdleConnTimeout = 90 * time.Second // as in the default transport
	}
	return transport, nil
}

// isPlainDial reports whether a DialContext is that of a [net.Dialer], as in a copy of the
// default transport. A replacement for it connects to the same addresses.
func isPlainDial(dial func(context.Context, string, string) (net.Conn, error)) bool {
	return dial == nil || reflect.ValueOf(dial).Pointer() == reflect.ValueOf(new(net.Dialer).DialContext).Pointer()
}

// dialWith returns the Dial of the machine. It checks after the resolution of the name, and
// for the very address of the connection, so a second answer of DNS does not evade it. A
// nil resolver is [net.DefaultResolver].
func dialWith(resolver *net.Resolver) Dial {
	return func(ctx context.Context, network, address string, allowed func(string) error) (net.Conn, error) {
		dialer := net.Dialer{
			Timeout:  providerTimeout,
			Resolver: resolver,
			ControlContext: func(_ context.Context, _, ipAndPort string, _ syscall.RawConn) error {
				return allowed(ipAndPort)
			},
		}
		return dialer.DialContext(ctx, network, address)
	}
}

// checkAddress returns an error unless an IP address and port are public, and the port is
// 443.
func checkAddress(ipAndPort string) error {
	to, err := netip.ParseAddrPort(ipAndPort)
	const remedy = "for a provider in your own network, set Lookup.AnyAddress, or leave its Endpoints.PublicOnly false"
	switch {
	case err != nil || !isPublic(to.Addr()):
		return errors.New("the network guard does not allow the address, because it is not public; " + remedy)
	case to.Port() != 443:
		return errors.New("the network guard allows port 443 only; " + remedy)
	}
	return nil
}

// CheckPublic returns an error if the network guard cannot allow a URL, whatever its host
// resolves to. The text begins with a verb, for a name before it.
func CheckPublic(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return errors.New("is not an absolute URL")
	}
	return checkPublicURL(u)
}

// checkPublicURL is CheckPublic for a parsed URL. The last label of a name begins with a
// letter (RFC 3696 section 2). Some resolvers read others as addresses, such as 127.1 and
// 0x7f000001.
func checkPublicURL(u *url.URL) error {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	last := host[strings.LastIndex(host, ".")+1:]
	switch {
	case u.Scheme != "https":
		return errors.New("is not https, and the network guard allows https only")
	case u.Port() != "" && u.Port() != "443":
		return errors.New("has another port than 443, the only one that the network guard allows")
	case last == "localhost":
		return errors.New("is on this machine, and the network guard allows public hosts only")
	case last == "" || last[0] < 'a' || last[0] > 'z' || strings.Contains(host, ":"):
		return errors.New("has an IP address as host, and the network guard allows names only")
	}
	return nil
}

var (
	// globalUnicast is all of IPv6 that is assigned for hosts on the Internet.
	globalUnicast = netip.MustParsePrefix("2000::/3")

	// wellKnownNAT64 has an IPv4 address in its last four bytes (RFC 6052 section 2.1).
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")

	// notPublic are the special-purpose addresses of IANA's registries (RFC 6890), the rest of
	// IPv6 aside.
	notPublic = prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"168.63.129.16/32", // services of Azure for the virtual machine itself

		"2001::/23", // with Teredo, which has an IPv4 address inside
		"2001:db8::/32", "3fff::/20",
		"2002::/16", // 6to4, which has an IPv4 address inside
	)
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// isPublic reports whether an address is on the Internet. It cannot know addresses that
// belong to the application's network and are public as well.
func isPublic(ip netip.Addr) bool {
	if ip.Zone() != "" {
		return false
	}
	if wellKnownNAT64.Contains(ip) {
		bytes := ip.As16()
		ip = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	if ip = ip.Unmap(); !ip.Is4() && !globalUnicast.Contains(ip) {
		return false
	}
	for _, block := range notPublic {
		if block.Contains(ip) {
			return false
		}
	}
	return true
}
