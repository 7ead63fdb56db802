package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// An oidcProvider runs two providers: a general one, and one for FAPI 2.0 alone.
type oidcProvider struct {
	folder  string
	ports   map[bool][2]int // of FAPI 2.0: without and with client certificates
	command *exec.Cmd
	output  lockedBuffer
}

func (o *oidcProvider) start(ctx context.Context, ca *authority, apps []*application) error {
	var clients = map[bool][]object{false: {}, true: {}}
	for _, a := range apps {
		registered := object{
			"client_id": a.name, "redirect_uris": a.redirects("/auth/callback"), "post_logout_redirect_uris": a.redirects("/"),
		}
		for name, value := range a.registration(a) {
			registered[name] = value
		}
		clients[a.fapi] = append(clients[a.fapi], registered)
	}
	o.ports = make(map[bool][2]int)
	var servers []object
	for _, fapi := range [...]bool{false, true} {
		port, err := freePort()
		if err != nil {
			return err
		}
		withCertificates, err := freePort()
		if err != nil {
			return err
		}
		o.ports[fapi] = [2]int{port, withCertificates}
		servers = append(servers, object{"port": port, "mtlsPort": withCertificates, "fapi": fapi, "clients": clients[fapi]})
	}
	certificate, err := issue(ca, "provider.example.test")
	if err != nil {
		return err
	}
	key, err := keyPEM(certificate.PrivateKey)
	if err != nil {
		return err
	}
	settings, err := json.Marshal(object{"ca": ca.pem(), "cert": certificatePEM(certificate.Leaf), "key": key, "servers": servers})
	if err != nil {
		return err
	}
	return o.run(ctx, ca, settings)
}

// run starts the program and waits until it is ready.
func (o *oidcProvider) run(ctx context.Context, ca *authority, settings []byte) error {
	folder, err := os.MkdirTemp("", "pixy-strong-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	trusted := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(trusted, []byte(ca.pem()), 0o600); err != nil {
		return err
	}
	o.command = exec.CommandContext(ctx, "node", "strong.mjs")
	o.command.Dir = o.folder
	o.command.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+trusted) // for the applications' JWK sets
	o.command.Stdin, o.command.Stderr = bytes.NewReader(settings), &o.output
	printed, err := o.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := o.command.Start(); err != nil {
		return err
	}
	ready := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(printed); lines.Scan(); {
			if lines.Text() == "ready" {
				close(ready)
				continue
			}
			fmt.Fprintln(&o.output, lines.Text())
		}
	}()
	select {
	case <-ready:
		return nil
	case <-time.After(20 * time.Second):
		return fmt.Errorf("the server did not start")
	}
}

func (o *oidcProvider) issuer(v *variant) string {
	return fmt.Sprintf("https://127.0.0.1:%d", o.ports[v.fapi][0])
}

func (o *oidcProvider) api(v *variant) string {
	port := o.ports[v.fapi][0]
	if v.mtls {
		port = o.ports[v.fapi][1]
	}
	if v.resource {
		return fmt.Sprintf("https://127.0.0.1:%d/resource", port)
	}
	return fmt.Sprintf("https://127.0.0.1:%d/me", port)
}

func (o *oidcProvider) lifespan() time.Duration { return 12 * time.Second }

func (o *oidcProvider) stop() {
	if o.command != nil && o.command.Process != nil {
		_ = o.command.Process.Kill()
		_ = o.command.Wait()
	}
}

func (o *oidcProvider) printed() string {
	var lines []string
	for line := range strings.Lines(o.output.String()) {
		if !strings.HasPrefix(line, "oidc-provider ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// redirects returns the URLs of a path at the application and its weak twin.
func (a *application) redirects(path string) []string {
	all := []string{a.url + path}
	if a.weak != nil {
		all = append(all, a.weak.url+path)
	}
	return all
}

// freePort returns a port of 127.0.0.1 that is free now. A server takes a while to start, so
// the port is below those that Linux gives to connections.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 20000 + rand.IntN(12000)
		var listener net.Listener
		if listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, err
}
