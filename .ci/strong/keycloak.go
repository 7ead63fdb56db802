package main

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const realm = "shop"

// A keycloak is a Keycloak server with one realm.
type keycloak struct {
	home    string
	port    int
	command *exec.Cmd
	output  lockedBuffer
}

// policies are the client profiles, built into Keycloak, that are demanded of the clients
// of a FAPI variant.
var policies = map[string]string{
	"FAPI2-private_key_jwt-DPoP": "fapi-2-dpop-security-profile",
	"FAPI2-tls_client_auth-mTLS": "fapi-2-security-profile",
	"FAPI2-message-signing":      "fapi-2-dpop-message-signing",
}

func (k *keycloak) start(ctx context.Context, ca *authority, apps []*application) (err error) {
	if k.port, err = freePort(); err != nil {
		return err
	}
	caFile, certificate, key, err := ca.write(k.home, "keycloak.example.test")
	if err != nil {
		return err
	}
	if err := k.writeRealm(apps); err != nil {
		return err
	}
	k.command = exec.CommandContext(ctx, filepath.Join(k.home, "bin", "kc.sh"), "start", "--optimized", "--import-realm", "--cache=local",
		"--http-host=127.0.0.1", fmt.Sprint("--https-port=", k.port), fmt.Sprintf("--hostname=https://127.0.0.1:%d", k.port),
		"--https-certificate-file="+certificate, "--https-certificate-key-file="+key, "--https-client-auth=request",
		"--https-trust-store-file="+caFile, "--truststore-paths="+caFile)
	k.command.Env = append(os.Environ(), "JAVA_OPTS_APPEND=-Xmx512m -XX:TieredStopAtLevel=1")
	k.command.Stdout, k.command.Stderr = &k.output, &k.output
	k.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // kc.sh starts Java
	k.command.Cancel = func() error { return syscall.Kill(-k.command.Process.Pid, syscall.SIGKILL) }
	if err := k.command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- k.command.Wait() }()
	client := &http.Client{Transport: ca.transport()}
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("the server ended: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		response, err := client.Get(k.issuer(nil))
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
	}
}

func (k *keycloak) issuer(*variant) string {
	return fmt.Sprintf("https://127.0.0.1:%d/realms/%s", k.port, realm)
}

func (k *keycloak) api(v *variant) string {
	return k.issuer(v) + "/protocol/openid-connect/userinfo"
}

func (k *keycloak) lifespan() time.Duration { return 20 * time.Second } // for slow machines

func (k *keycloak) printed() string { return k.output.String() }

func (k *keycloak) stop() {
	if k.command != nil && k.command.Process != nil {
		_ = k.command.Cancel()
	}
}

// writeRealm writes the realm that Keycloak imports when it starts. A refresh token works
// once.
func (k *keycloak) writeRealm(apps []*application) error {
	var clients, demanded []object
	for _, a := range apps {
		clients = append(clients, keycloakClient(a))
		if profile := policies[a.name]; profile != "" {
			demanded = append(demanded, object{
				"name": a.name, "enabled": true, "profiles": []string{profile},
				"conditions": []object{{"condition": "client-attributes", "configuration": object{
					"attributes": fmt.Sprintf(`[{"key":"variant","value":%q}]`, a.name),
				}}},
			})
		}
	}
	ada := object{
		"username": "ada", "enabled": true, "email": "ada@example.test", "emailVerified": true, "firstName": "Ada", "lastName": "Lovelace",
		"credentials": []object{{"type": "password", "value": password, "temporary": false}},
	}
	imported, err := json.Marshal(object{
		"realm": realm, "enabled": true, "accessTokenLifespan": k.lifespan() / time.Second,
		"revokeRefreshToken": true, "refreshTokenMaxReuse": 0,
		"clients": clients, "users": []object{ada}, "clientPolicies": object{"policies": demanded},
	})
	if err != nil {
		return err
	}
	folder := filepath.Join(k.home, "data", "import")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, realm+".json"), imported, 0o600)
}

// attributes are Keycloak's names for client metadata.
var attributes = map[string]string{
	"token_endpoint_auth_signing_alg":            "token.endpoint.auth.signing.alg",
	"jwks_uri":                                   "jwks.url",
	"require_pushed_authorization_requests":      "require.pushed.authorization.requests",
	"dpop_bound_access_tokens":                   "dpop.bound.access.tokens",
	"tls_client_certificate_bound_access_tokens": "tls.client.certificate.bound.access.tokens",
	"request_object_signing_alg":                 "request.object.signature.alg",
	"id_token_encrypted_response_alg":            "id.token.encrypted.response.alg",
	"id_token_encrypted_response_enc":            "id.token.encrypted.response.enc",
	"userinfo_signed_response_alg":               "user.info.response.signature.alg",
	"userinfo_encrypted_response_alg":            "user.info.encrypted.response.alg",
	"userinfo_encrypted_response_enc":            "user.info.encrypted.response.enc",
}

var authenticators = map[any]string{
	"client_secret_basic": "client-secret", "client_secret_jwt": "client-secret-jwt", "private_key_jwt": "client-jwt", "tls_client_auth": "client-x509",
}

func keycloakClient(a *application) object {
	is := object{
		"pkce.code.challenge.method": "S256", "id.token.signed.response.alg": "ES256", "access.token.signed.response.alg": "ES256",
		"post.logout.redirect.uris": a.url + "/", "variant": a.name,
	}
	client := object{
		"clientId": a.name, "enabled": true, "protocol": "openid-connect", "publicClient": false,
		"standardFlowEnabled": true, "directAccessGrantsEnabled": false, "fullScopeAllowed": false, "consentRequired": a.fapi,
		"redirectUris": a.redirects("/auth/callback"), "attributes": is,
	}
	for name, value := range a.registration(a) {
		switch name {
		case "token_endpoint_auth_method":
			client["clientAuthenticatorType"] = authenticators[value]
		case "client_secret":
			client["secret"] = value
		case "tls_client_auth_san_dns": // Keycloak compares the subjects
			is["x509.subjectdn"], is["x509.casubjectdn"] = "CN="+value.(string), a.ca.certificate.Subject.String()
		case "require_signed_request_object":
			is["request.object.required"] = "request or request_uri"
		case "authorization_signed_response_alg":
			is["authorization.signed.response.alg"] = value
			is["exclude.issuer.from.auth.response"] = "true" // otherwise the claim iss occurs twice
		default:
			is[attributes[name]] = fmt.Sprint(value)
		}
	}
	switch {
	case is["id.token.encrypted.response.alg"] != nil: // to a key that has alg, as ours at KeysPath have not
		is["use.jwks.string"], is["jwks.string"] = "true", a.keysWithAlg(is)
	case is["jwks.url"] != nil:
		is["use.jwks.url"] = "true"
	}
	return client
}

// keysWithAlg returns the JWK set of the keys that decrypt ID tokens and UserInfo.
func (a *application) keysWithAlg(is object) string {
	var set jose.JSONWebKeySet
	for i, attribute := range [...]string{"id.token.encrypted.response.alg", "user.info.encrypted.response.alg"} {
		key := jose.JSONWebKey{Key: a.decryption[i].(interface{ Public() crypto.PublicKey }).Public(), Use: "enc", Algorithm: is[attribute].(string)}
		thumbprint, _ := key.Thumbprint(crypto.SHA256) // never fails for these keys
		key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
		set.Keys = append(set.Keys, key)
	}
	encoded, _ := json.Marshal(set) // never fails
	return string(encoded)
}
