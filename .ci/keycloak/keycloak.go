package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	realm    = "shop"
	public   = "sso.localhost" // resolved by the browser
	lifespan = 6 * time.Second // of access tokens
)

// A keycloak is a Keycloak server with one realm.
type keycloak struct {
	port    int
	command *exec.Cmd
	output  lockedBuffer
}

// issuer is the public URL of the realm.
func (k *keycloak) issuer() string {
	return fmt.Sprintf("http://%s:%d/realms/%s", public, k.port, realm)
}

// startKeycloak starts the server in home, with the realm of these applications, and
// waits until it answers. Its public URL is fixed. Requests under another host name get
// metadata whose endpoints for applications have that name.
func startKeycloak(ctx context.Context, home string, port int, apps []*application) (*keycloak, error) {
	k := &keycloak{port: port}
	if err := writeRealm(home, apps); err != nil {
		return nil, err
	}
	k.command = exec.CommandContext(ctx, filepath.Join(home, "bin", "kc.sh"), "start", "--optimized", "--import-realm", "--cache=local",
		"--http-enabled=true", "--http-host=127.0.0.1", fmt.Sprint("--http-port=", port),
		fmt.Sprintf("--hostname=http://%s:%d", public, port), "--hostname-backchannel-dynamic=true")
	k.command.Env = append(os.Environ(), "JAVA_OPTS_APPEND=-Xmx512m -XX:TieredStopAtLevel=1")
	k.command.Stdout, k.command.Stderr = &k.output, &k.output
	k.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // kc.sh starts Java
	k.command.Cancel = func() error { return syscall.Kill(-k.command.Process.Pid, syscall.SIGKILL) }
	if err := k.command.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- k.command.Wait() }()
	for {
		select {
		case err := <-ended:
			return k, fmt.Errorf("the server ended: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/realms/%s", port, realm))
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return k, nil
		}
	}
}

func (k *keycloak) stop() {
	if k.command != nil && k.command.Process != nil {
		_ = k.command.Cancel()
	}
}

type object = map[string]any

// writeRealm writes the realm that Keycloak imports when it starts. A refresh token works
// once. The claim department is in UserInfo only.
func writeRealm(home string, apps []*application) error {
	department := object{
		"name": "department", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-claim-mapper",
		"config": object{
			"claim.name": "department", "claim.value": "engines", "jsonType.label": "String",
			"id.token.claim": "false", "access.token.claim": "false", "userinfo.token.claim": "true",
		},
	}
	var clients []object
	for _, a := range apps {
		clients = append(clients, object{
			"clientId": a.name, "secret": a.secret, "enabled": true, "protocol": "openid-connect", "publicClient": false,
			"standardFlowEnabled": true, "directAccessGrantsEnabled": false,
			"redirectUris": []string{a.url + "/auth/callback"},
			"attributes": object{
				"pkce.code.challenge.method":          "S256",
				"post.logout.redirect.uris":           a.url + "/",
				"backchannel.logout.url":              a.url + "/auth/backchannel-logout",
				"backchannel.logout.session.required": "true",
			},
			"protocolMappers": []object{department},
		})
	}
	ada := object{
		"username": "ada", "enabled": true, "email": "ada@example.test", "emailVerified": true, "firstName": "Ada", "lastName": "Lovelace",
		"credentials": []object{{"type": "password", "value": password, "temporary": false}},
	}
	imported, err := json.Marshal(object{
		"realm": realm, "enabled": true, "sslRequired": "none", "accessTokenLifespan": lifespan / time.Second,
		"revokeRefreshToken": true, "refreshTokenMaxReuse": 0,
		"clients": clients, "users": []object{ada},
	})
	if err != nil {
		return err
	}
	folder := filepath.Join(home, "data", "import")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, realm+".json"), imported, 0o600)
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
