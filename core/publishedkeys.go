package core

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// publicKeys returns the public parts of the client's keys, by their fields. It leaves out
// keys that New does not accept.
func (p *Provider) publicKeys() (keys []jose.JSONWebKey, fields []string) {
	for i, key := range p.Client.SigningKeys {
		if signing, err := key.forRoom(); err == nil {
			keys, fields = append(keys, signing.Public()), append(fields, fmt.Sprintf("Client.SigningKeys[%d]", i))
		}
	}
	for i, key := range p.Client.DecryptionKeys {
		if public, err := provider.PublicEncryptionKey(key); err == nil {
			keys, fields = append(keys, public), append(fields, fmt.Sprintf("Client.DecryptionKeys[%d]", i))
		}
	}
	return keys, fields
}

// publish adds the public keys of a provider to set. It adds a fault for each key that
// cannot be in one set with the others.
func (p *Provider) publish(set *provider.PublishedKeys, prefix string, faults *faults) {
	keys, fields := p.publicKeys()
	for i, key := range keys {
		if err := set.Add(key); err != nil {
			faults.add("%s%s %w", prefix, fields[i], err)
		}
	}
}

// checkPublished checks that the keys of each provider fit in one JWK set, and with
// KeysPath those of all providers.
func (c *Config) checkPublished(own []faults) {
	all := new(provider.PublishedKeys)
	for i := range c.Providers {
		p, set := &c.Providers[i], new(provider.PublishedKeys)
		if c.KeysPath != "" {
			set.Keys = append(set.Keys, all.Keys...)
		}
		p.publish(set, fmt.Sprintf("Providers[%d].", i), &own[i])
		if len(own[i]) == 0 || !c.SkipFaultyProviders {
			all = set
		}
		if method := p.Client.AuthMethod; len(p.Client.SigningKeys) > 0 && method != "" && method != "private_key_jwt" && !p.Requests.SignedRequest && c.KeysPath == "" {
			own[i].add("Providers[%d].Client.SigningKeys is not used with Client.AuthMethod %s; remove it, or leave AuthMethod empty, or set Requests.SignedRequest or Config.KeysPath", i, method)
		}
	}
}

// checkKeysPath checks the route that publishes the keys, and returns it.
func (c *Config) checkKeysPath(faults *faults) (routes []string) {
	if c.KeysPath == "" {
		return nil
	}
	if c.Lookup.Find != nil { // looked-up providers may have keys
		checkRoute(faults, "KeysPath", c.KeysPath, "/auth/jwks")
		return []string{c.KeysPath}
	}
	checkRoute(faults, "KeysPath", c.KeysPath, "/auth/jwks")
	for i := range c.Providers {
		if client := &c.Providers[i].Client; len(client.SigningKeys)+len(client.DecryptionKeys) > 0 {
			return []string{c.KeysPath}
		}
	}
	faults.add("KeysPath is set, and no provider has Client.SigningKeys or Client.DecryptionKeys; set one of them, or leave KeysPath empty")
	return []string{c.KeysPath}
}

// serveKeys returns the handler of KeysPath, which has the keys of listed providers, and of
// the path below it, which has those of one provider. Providers must see a new key soon, so
// caches may keep a set for five minutes only. The type is application/json, which all
// providers read, and not the application/jwk-set+json of RFC 7517, which some do not.
func (a *Authenticator) serveKeys() (HandlerFunc, error) {
	listed, err := a.registrations.keySet()
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := listed, error(nil)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			err = errMethod(w, "GET, HEAD")
		} else if name, ok := a.nameIn(r); ok {
			body, err = a.keysOf(r.Context(), name)
		}
		if err != nil {
			noStore(w)
			return a.report(w, r, err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(http.StatusOK) // Gin's NoRoute, which a guard may be in front of, has set 404
		if r.Method != http.MethodHead {
			_, _ = w.Write(body)
		}
		return nil
	}, nil
}

// keySet returns the public keys for all these providers, which New has checked.
func (all registrations) keySet() ([]byte, error) {
	set := provider.PublishedKeys{Keys: []jose.JSONWebKey{}}
	for _, at := range all {
		at.config.publish(&set, "", new(faults))
	}
	body, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("pixy: Config.KeysPath cannot publish the keys: %w", err)
	}
	return body, nil
}

// keysOf returns the public keys for the provider with a name.
func (a *Authenticator) keysOf(ctx context.Context, name string) ([]byte, error) {
	at, err := a.named(ctx, name)
	if err != nil {
		return nil, err
	}
	if at == nil {
		return nil, errUnknownProvider("path", name)
	}
	return at.keySet()
}
