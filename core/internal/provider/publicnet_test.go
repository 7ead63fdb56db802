package provider

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for address, public := range map[string]bool{
		"8.8.8.8": true, "1.0.0.1": true, "9.255.255.255": true, "11.0.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "126.255.255.255": true,
		"128.0.0.0": true, "169.253.255.255": true, "169.255.0.0": true, "172.15.255.255": true, "172.32.0.0": true, "191.255.255.255": true, "192.0.1.0": true, "192.0.3.0": true,
		"192.167.255.255": true, "192.169.0.0": true, "198.17.255.255": true, "198.20.0.0": true, "198.51.99.255": true, "198.51.101.0": true, "203.0.112.255": true,
		"203.0.114.0": true, "223.255.255.255": true, "168.63.129.15": true,

		"0.0.0.0": false, "0.255.255.255": false, "10.0.0.0": false, "10.255.255.255": false, "100.64.0.0": false, "100.100.100.200": false, "100.127.255.255": false,
		"127.0.0.1": false, "127.255.255.255": false, "169.254.0.0": false, "169.254.169.254": false, "169.254.255.255": false, "172.16.0.0": false, "172.31.255.255": false,
		"192.0.0.0": false, "192.0.0.192": false, "192.0.0.255": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.0.0": false, "192.168.255.255": false, "198.18.0.0": false,
		"198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.0": false, "255.255.255.254": false,
		"255.255.255.255": false, "168.63.129.16": false,

		"2606:4700:4700::1111": true, "2000::1": true, "2001:200::1": true, "2400::1": true, "3ffe:ffff::1": true, "3fff:1000::1": true,

		"::": false, "::1": false, "::2": false, "::8.8.8.8": false, "::127.0.0.1": false, "1fff::1": false, "4000::1": false, "100::1": false, "5f00::1": false,
		"2001::1": false, "2001:2::1": false, "2001:10::1": false, "2001:1ff::1": false, "2001:db8::1": false, "2002:a00:1::1": false, "2002:808:808::1": false, "3fff::1": false, "3fff:fff::1": false,
		"fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false, "febf::1": false, "fec0::1": false, "feff::1": false, "ff02::1": false, "ff0e::1": false,
		"2606:4700:4700::1111%eth0": false,

		"::ffff:8.8.8.8": true, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:0:8.8.8.8": false, "::ffff:8.8.8.8%eth0": false,
		"64:ff9b::8.8.8.8": true, "64:ff9b::10.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::169.254.169.254": false, "64:ff9b:1::8.8.8.8": false, "64:ff9b::1:8.8.8.8": false,
	} {
		err := checkAddress(net.JoinHostPort(address, "443"))
		if (err == nil) != public {
			t.Errorf("%s: %v", address, err)
		}
		if err := checkAddress(net.JoinHostPort(address, "8443")); err == nil {
			t.Errorf("%s: another port", address)
		}
	}
	for _, address := range []string{"", "8.8.8.8", "8.8.8.8:", "8.8.8.8:https", "8.8.8.8:65979", "dns.example.test:443", "2606:4700:4700::1111:443", "[8.8.8.8]:443", ":443", "/run/socket"} {
		if checkAddress(address) == nil {
			t.Errorf("%q passes", address)
		}
	}
}

// The port is refused by a text of its own, which names the port that is allowed.
func TestPublicAddressesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"8.8.8.8:80": "allows port 443 only", "10.0.0.1:443": "is not public", "10.0.0.1:80": "is not public", "x": "is not public"} {
		if err := checkAddress(address); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Lookup.AnyAddress") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestPublicURLs(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://id.example.test": "", "https://id.example.test:443/a?b": "", "https://id.example.test./": "", "HTTPS://ID.example.test/": "", "https://xn--bcher-kva.example/": "",
		"https://intranet/": "", "https://127.0.0.1.example.test/": "", "https://1.example.test/": "", "https://localhost.example.test/": "", // an address decides

		"http://id.example.test/": "not https", "http://id.example.test:443/": "not https", "//id.example.test/": "not https", "ftp://id.example.test/": "not https", "": "not https",
		"https://id.example.test:8443/": "another port", "https://id.example.test:80/": "another port", "https://id.example.test:0443/": "another port", "https://id.example.test:0/": "another port",
		"https://localhost/": "on this machine", "https://LOCALHOST./": "on this machine", "https://a.localhost/": "on this machine", "https://a.b.LocalHost/": "on this machine",
		"https://8.8.8.8/": "IP address", "https://8.8.8.8./": "IP address", "https://127.1/": "IP address", "https://2130706433/": "IP address", "https://0x7f000001/": "IP address",
		"https://0177.0.0.1/": "IP address", "https://0x7f.1/": "IP address", "https://[::1]/": "IP address", "https://[2606:4700:4700::1111]/": "IP address", "https://[fe80::1%25eth0]/": "IP address",
		"https://[::ffff:127.0.0.1]/": "IP address", "https://[2606:4700::abcd]/": "IP address", "https://[::a]/": "IP address", "https:///": "IP address", "https://./": "IP address",
		"https://id.example.test:x/": "absolute URL", "https://a b/": "absolute URL",
	} {
		if err := CheckPublic(endpoint); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", endpoint, err, want)
		}
	}
}

// What package net calls private is never connected to, in whatever form it is written or
// hidden in another address.
func FuzzPublicAddress(f *testing.F) {
	for _, seed := range []string{
		"8.8.8.8:443", "127.0.0.1:443", "[::1]:443", "[::ffff:10.0.0.1]:443", "[64:ff9b::a00:1]:443", "[2002:7f00:1::]:443", "[2001:0:0:0:0:0:80ff:fffe]:443",
		"[fe80::1%1]:443", "[2606:4700::1%x]:443", "169.254.169.254:443", "100.64.0.1:443", "0:443", "[::]:443", "1.1.1.1:0443", "[::10.0.0.1]:443", "[64:ff9b:1::1.1.1.1]:443",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if checkAddress(address) != nil {
			return
		}
		host, port, err := net.SplitHostPort(address)
		ip := net.ParseIP(host)
		if err != nil || strings.TrimLeft(port, "0") != "443" || ip == nil || ip.To16() == nil {
			t.Fatalf("%q passes: %v", address, err)
		}
		inside := []net.IP{ip}
		if ip.To4() == nil {
			teredo := net.IP{ip[12] ^ 0xff, ip[13] ^ 0xff, ip[14] ^ 0xff, ip[15] ^ 0xff}
			switch {
			case bytes.HasPrefix(ip, []byte{0x20, 0x02}):
				inside = append(inside, net.IP(ip[2:6]))
			case bytes.HasPrefix(ip, []byte{0x20, 0x01, 0, 0}):
				inside = append(inside, net.IP(ip[4:8]), teredo)
			case bytes.HasPrefix(ip, []byte{0, 0x64, 0xff, 0x9b}), bytes.HasPrefix(ip, make([]byte, 8)):
				inside = append(inside, net.IP(ip[12:]))
			}
		}
		for _, ip := range inside {
			if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() {
				t.Errorf("%q passes, with %s", address, ip)
			}
		}
	})
}

// fakeDNS returns a resolver that uses no network. answers gives the addresses of a name, which
// may be others each time.
func fakeDNS(answers func(name string) []netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			var length [2]byte
			for {
				if _, err := io.ReadFull(there, length[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(there, query); err != nil {
					return
				}
				reply := replyTo(query, answers)
				if _, err := there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
					return
				}
			}
		}()
		return here, nil
	}}
}

// replyTo answers one question (RFC 1035 section 4.1).
func replyTo(query []byte, answers func(string) []netip.Addr) []byte {
	var labels []string
	at := 12
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	kind := binary.BigEndian.Uint16(query[at+1:])
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, query[12:at+5]...)
	for _, ip := range answers(strings.Join(labels, ".")) {
		if ip.Is4() == (kind == 1) && (kind == 1 || kind == 28) {
			reply[7]++
			reply = append(reply, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(ip.BitLen()/8))
			reply = append(reply, ip.AsSlice()...)
		}
	}
	return reply
}

// Real connections, to names that lead to this machine and to spellings of its address: not
// one arrives.
func TestTheGuardConnectsToNothingPrivate(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var arrived atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			arrived.Add(1)
			conn.Close()
		}
	}()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resolver := fakeDNS(func(name string) []netip.Addr {
		return map[string][]netip.Addr{
			"inside.example.test": {netip.MustParseAddr("127.0.0.1")},
			"mapped.example.test": {netip.MustParseAddr("::ffff:127.0.0.1")},
			"many.example.test":   {netip.MustParseAddr("::1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1")},
		}[name]
	})
	for _, host := range []string{
		"inside.example.test", "mapped.example.test", "many.example.test", "127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "localhost", "0.0.0.0", "", "::",
		"127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "::127.0.0.1", "64:ff9b::127.0.0.1", "::1%lo",
	} {
		conn, err := dialWith(resolver)(t.Context(), "tcp", net.JoinHostPort(host, port), checkAddress)
		if err == nil {
			conn.Close()
			t.Errorf("%q: connected to %s", host, conn.RemoteAddr())
		}
		if strings.HasSuffix(host, ".test") && !strings.Contains(err.Error(), "the network guard does not allow the address") {
			t.Errorf("%q: %v", host, err)
		}
	}
	// The last one arrives, so the others would have.
	conn, err := dialWith(resolver)(t.Context(), "tcp", "inside.example.test:"+port, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	conn.Close()
	if got := arrived.Load(); got != 1 {
		t.Errorf("%d connections arrived", got)
	}
}

// A guardedServer is an https server for id.example.test. Its address counts as public.
type guardedServer struct {
	*httptest.Server
	answers  atomic.Pointer[[]netip.Addr] // of DNS
	served   atomic.Int32
	lookups  atomic.Int32
	handle   func(http.ResponseWriter, *http.Request)
	resolver *net.Resolver
}

func newGuardedServer(t *testing.T) *guardedServer {
	t.Helper()
	s := new(guardedServer)
	s.resolve("127.0.0.1")
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		if s.handle != nil {
			s.handle(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.resolver = fakeDNS(func(string) []netip.Addr {
		s.lookups.Add(1)
		return *s.answers.Load()
	})
	return s
}

// resolve makes DNS answer with these addresses.
func (s *guardedServer) resolve(addresses ...string) {
	var all []netip.Addr
	for _, address := range addresses {
		all = append(all, netip.MustParseAddr(address))
	}
	s.answers.Store(&all)
}

// custom returns a client of an application that knows the server's certificate.
func (s *guardedServer) custom() *http.Client {
	standard, _ := http.DefaultTransport.(*http.Transport)
	transport := standard.Clone()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: "example.com"} // of httptest's certificate
	return &http.Client{Transport: transport}
}

// dial is that of the machine, but the server is at 127.0.0.1:443, and that is public.
func (s *guardedServer) dial(ctx context.Context, network, address string, allowed func(string) error) (net.Conn, error) {
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		return nil, err
	}
	return dialWith(s.resolver)(ctx, network, strings.TrimSuffix(address, ":443")+":"+port, func(ipAndPort string) error {
		if ipAndPort == "127.0.0.1:"+port {
			return allowed("8.8.8.8:443")
		}
		return allowed(strings.TrimSuffix(ipAndPort, ":"+port) + ":443")
	})
}

func (s *guardedServer) client(t *testing.T, custom *http.Client) *http.Client {
	t.Helper()
	client, err := NewPublicClient(custom, s.dial)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func getGuarded(t *testing.T, client *http.Client, from string) error {
	t.Helper()
	var document map[string]any
	return getJSON(t.Context(), client, from, &document)
}

// A name is resolved for each connection, and each connection is checked. A second answer
// of DNS leads nowhere, and neither does a private address beside a public one.
func TestRebindingIsRefused(t *testing.T) {
	t.Parallel()
	s := newGuardedServer(t)
	s.handle = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }
	custom := s.custom()
	if transport, ok := custom.Transport.(*http.Transport); ok {
		transport.DisableKeepAlives = true
	}
	client := s.client(t, custom)
	const from = "https://id.example.test/.well-known/openid-configuration"
	if err := getGuarded(t, client, from); err != nil || s.served.Load() != 1 {
		t.Fatalf("the public address: %v", err)
	}
	for _, second := range []string{"127.0.0.2", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254"} {
		s.resolve(second)
		before := s.lookups.Load()
		err := getGuarded(t, client, from)
		outage := new(Error)
		if !errors.As(err, &outage) || outage.Code != CodeUnavailable {
			t.Fatalf("%s: got %v", second, err)
		}
		for _, want := range []string{"id.example.test", "network guard", second, "Lookup.AnyAddress"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", second, err, want)
			}
		}
		if s.lookups.Load() == before {
			t.Error("the name was not resolved again")
		}
	}
	s.resolve("10.0.0.1", "127.0.0.1")
	if err := getGuarded(t, client, from); err != nil {
		t.Errorf("a private address and the public one: %v", err)
	}
	if got := s.served.Load(); got != 2 {
		t.Errorf("%d requests arrived", got)
	}
}

// Every URL is checked before a request, that of a redirect as well.
func TestGuardedRequests(t *testing.T) {
	t.Parallel()
	s := newGuardedServer(t)
	s.handle = func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		io.WriteString(w, "{}")
	}
	client := s.client(t, s.custom())
	for _, test := range []struct {
		url  string
		code string // empty: it works
		want string
	}{
		{"https://id.example.test/", "", ""},
		{"https://id.example.test:443/", "", ""},
		{"https://id.example.test/?to=/other", "", ""},
		{"http://id.example.test/", CodeUnavailable, "the URL is not https"},
		{"http://id.example.test:443/", CodeUnavailable, "the URL is not https"},
		{"https://id.example.test:8443/", CodeUnavailable, "the URL has another port"},
		{"https://127.0.0.1/", CodeUnavailable, "the URL has an IP address"},
		{"https://id.localhost/", CodeUnavailable, "the URL is on this machine"},
		{"https://id.example.test/?to=" + url.QueryEscape("http://169.254.169.254/latest/meta-data"), CodeMetadata, "redirects are followed within its own origin only"},
		{"https://id.example.test/?to=" + url.QueryEscape("https://other.example.test/"), CodeMetadata, "redirects are followed within its own origin only"},
		{"https://id.example.test/?to=" + url.QueryEscape("http://id.example.test/"), CodeMetadata, "redirects are followed within its own origin only"},
	} {
		err := getGuarded(t, client, test.url)
		got := new(Error)
		if errors.As(err, &got); got.Code != test.code || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", test.url, err)
		}
	}
	body := &closed{Reader: strings.NewReader("code=canary")}
	request, err := http.NewRequest(http.MethodPost, "https://[::1]/token", body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(request); err == nil || !body.closed {
		t.Errorf("got %v, closed %t", err, body.closed)
	}
}

type closed struct {
	io.Reader
	closed bool
}

func (c *closed) Close() error {
	c.closed = true
	return nil
}

// With a client certificate and with the TLS of FAPI, connections are guarded as well, and
// HTTP/2 goes on to work.
func TestGuardedClientsWithACertificate(t *testing.T) {
	t.Parallel()
	s := newGuardedServer(t)
	var last atomic.Value
	s.handle = func(w http.ResponseWriter, r *http.Request) {
		last.Store([2]int{r.ProtoMajor, len(r.TLS.PeerCertificates)})
		io.WriteString(w, "{}")
	}
	certificate := func() (*tls.Certificate, error) { return &s.TLS.Certificates[0], nil }
	guarded := s.client(t, s.custom())
	for name, test := range map[string]struct {
		client *http.Client
		sent   int
	}{
		"plain":       {guarded, 0},
		"certificate": {withCertificate(guarded, certificate), 1},
		"FAPI":        {withFAPITLS(guarded), 0},
		"both":        {withCertificate(withFAPITLS(guarded), certificate), 1},
	} {
		s.resolve("127.0.0.1")
		if err := getGuarded(t, test.client, "https://id.example.test/"); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := last.Load(); got != [2]int{2, test.sent} {
			t.Errorf("%s: got %v", name, got)
		}
		test.client.Transport.(cappedTransport).base.(*http.Transport).CloseIdleConnections()
		s.resolve("10.0.0.1")
		if err := getGuarded(t, test.client, "https://id.example.test/"); err == nil || !strings.Contains(err.Error(), "network guard") {
			t.Errorf("%s: got %v", name, err)
		}
		if err := getGuarded(t, test.client, "https://id.example.test:8443/"); err == nil || !strings.Contains(err.Error(), "another port") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The application's transport keeps its settings, but not its connections and its proxy.
func TestGuardedTransports(t *testing.T) {
	t.Parallel()
	dial := func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("dialed past the guard")
	}
	proxy := func(*http.Request) (*url.URL, error) { return nil, errors.New("asked the proxy") }
	standard, _ := http.DefaultTransport.(*http.Transport)
	for name, test := range map[string]struct {
		custom *http.Client
		fault  string
	}{
		"none":                  {nil, ""},
		"empty":                 {new(http.Client), ""},
		"zero transport":        {&http.Client{Transport: new(http.Transport)}, ""},
		"copy of the default":   {&http.Client{Transport: standard.Clone()}, ""},
		"the default":           {&http.Client{Transport: standard}, ""},
		"dialer of package net": {&http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 1}).DialContext}}, ""},
		"proxy":                 {&http.Client{Transport: &http.Transport{Proxy: proxy}}, ""},
		"DialContext":           {&http.Client{Transport: &http.Transport{DialContext: dial}}, "makes its own connections"},
		"DialTLSContext":        {&http.Client{Transport: &http.Transport{DialTLSContext: dial}}, "makes its own connections"},
		//lint:ignore SA1019 an application may still set Dial and DialTLS
		"Dial": {&http.Client{Transport: &http.Transport{Dial: net.Dial}}, "makes its own connections"},
		//lint:ignore SA1019 an application may still set Dial and DialTLS
		"DialTLS":      {&http.Client{Transport: &http.Transport{DialTLS: net.Dial}}, "makes its own connections"},
		"another kind": {&http.Client{Transport: hostile.RoundTrip(nil)}, "has a Transport of type hostile.RoundTrip, whose connections cannot be checked"},
	} {
		if err := CheckPublicClient(test.custom); (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: %v", name, err)
		}
		client, err := NewPublicClient(test.custom, func(context.Context, string, string, func(string) error) (net.Conn, error) {
			return nil, errors.New("dialed by the guard")
		})
		if test.fault != "" {
			if err == nil {
				t.Errorf("%s: there is a client", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := getGuarded(t, client, "https://id.example.test/"); err == nil || !strings.Contains(err.Error(), "dialed by the guard") {
			t.Errorf("%s: %v", name, err)
		}
		capped, _ := client.Transport.(cappedTransport)
		ours, ok := capped.base.(*http.Transport)
		if !ok || ours.IdleConnTimeout == 0 || ours.MaxResponseHeaderBytes == 0 || !ours.ForceAttemptHTTP2 && name != "dialer of package net" {
			t.Errorf("%s: %+v", name, ours)
		}
		if test.custom != nil && test.custom.Transport != nil && ours == test.custom.Transport {
			t.Errorf("%s: it is not a copy", name)
		}
	}
	theirs := &http.Client{Transport: &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{"h2": nil}}}
	if ours, err := publicTransport(theirs); err != nil || ours.TLSNextProto != nil {
		t.Errorf("HTTP/2 of another transport: %v", err)
	}
	client, err := NewPublicClient(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	capped, _ := client.Transport.(cappedTransport)
	if ours, ok := capped.base.(*http.Transport); !ok || ours.Proxy != nil || ours.MaxResponseHeaderBytes != maxProviderHeader || capped.timeout != providerTimeout {
		t.Errorf("the default is %+v", ours)
	} else if _, err := ours.DialContext(t.Context(), "tcp", "127.0.0.1:443"); err == nil || !strings.Contains(err.Error(), "network guard") {
		t.Errorf("without a dial function: %v", err)
	}
	if client, err := NewPublicClient(&http.Client{Timeout: 7}, nil); err != nil || client.Transport.(cappedTransport).timeout != 7 {
		t.Errorf("the timeout is lost: %v", err)
	}
}
