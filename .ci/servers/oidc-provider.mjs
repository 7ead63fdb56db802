// A certified OpenID provider on loopback, with its own login and consent forms.
import http from 'node:http';
import Provider from 'oidc-provider';

export const clients = {
  confidential: { id: 'confidential', secret: 'se:cr%et+with/odd-characters' },
  public: { id: 'public', secret: undefined },
};

// start serves the provider for an application at appURL, with one callback. It
// may be started and stopped again on the same port; what it knew is gone then.
// Its access tokens live for 8 seconds, and a refresh token is used once: if it
// comes again, all that came of the login is revoked. Of clients, metadata says
// more.
export async function start(port, appURL, callback = `${appURL}/auth/callback`, metadata = {}) {
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: Object.values(clients).map(({ id, secret }) => ({
      client_id: id,
      ...(secret ? { client_secret: secret } : { token_endpoint_auth_method: 'none' }),
      redirect_uris: [callback],
      post_logout_redirect_uris: [`${appURL}/`],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...metadata,
    })),
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, name: `Name of ${sub}`, email: `${sub}@example.test`, email_verified: true }),
    }),
    features: { backchannelLogout: { enabled: true }, revocation: { enabled: true } },
    fetch: (url, { dispatcher, ...options }) => fetch(url, options), // its own would not send a logout token to loopback
    rotateRefreshToken: true,
    ttl: { AccessToken: 8 },
    pkce: { required: () => true },
    cookies: { keys: ['interop'] },
  });
  const grants = new Set(); // that are not revoked
  const secrets = new Set(); // tokens that there were
  provider.on('grant.success', ({ body, oidc }) => {
    grants.add(oidc.entities.AccessToken.grantId);
    for (const token of [body.access_token, body.refresh_token, body.id_token]) secrets.add(token);
  });
  provider.on('grant.revoked', (_, id) => grants.delete(id));
  const logoutTokens = []; // what became of them
  provider.on('backchannel.success', () => logoutTokens.push('taken'));
  provider.on('backchannel.error', (_, error) => logoutTokens.push(error.message));
  let tokenRequests = 0;
  const handle = provider.callback();
  const server = http.createServer((request, response) => {
    if (request.url.split('?')[0] === '/token') tokenRequests += 1;
    handle(request, response);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    issuer,
    tokenRequests: () => tokenRequests,
    grants,
    logoutTokens,
    secrets,
    endGrants: () => Promise.all([...grants].flatMap((id) => [provider.RefreshToken, provider.AccessToken].map((model) => model.revokeByGrantId(id)))),
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
