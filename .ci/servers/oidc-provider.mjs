// A certified OpenID provider on loopback, with its own login and consent forms.
import http from 'node:http';
import Provider from 'oidc-provider';

export const clients = {
  confidential: { id: 'confidential', secret: 'se:cr%et+with/odd-characters' },
  public: { id: 'public', secret: undefined },
};

// start runs the provider for an application at appURL with one callback. It can be
// stopped and started again on the same port, and then has no sessions or tokens.
// Access tokens expire after 8 seconds. A refresh token works once: if it is used
// again, all tokens of the login are revoked. Metadata adds settings of the clients.
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
    fetch: (url, { dispatcher, ...options }) => fetch(url, options), // the default fetch does not send logout tokens to loopback
    rotateRefreshToken: true,
    ttl: { AccessToken: 8 },
    pkce: { required: () => true },
    cookies: { keys: ['interop'] },
  });
  const grants = new Set(); // not revoked
  const secrets = new Set(); // all tokens
  provider.on('grant.success', ({ body, oidc }) => {
    grants.add(oidc.entities.AccessToken.grantId);
    for (const token of [body.access_token, body.refresh_token, body.id_token]) secrets.add(token);
  });
  provider.on('grant.revoked', (_, id) => grants.delete(id));
  const logoutTokens = []; // the results of sending them
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
