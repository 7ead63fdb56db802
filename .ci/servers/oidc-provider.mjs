// A certified OpenID provider on loopback, with its own login and consent forms.
import http from 'node:http';
import Provider from 'oidc-provider';

export const clients = {
  confidential: { id: 'confidential', secret: 'se:cr%et+with/odd-characters' },
  public: { id: 'public', secret: undefined },
};

// start serves the provider for an application at appURL, with one callback. It
// may be started and stopped again on the same port; what it knew is gone then.
export async function start(port, appURL, callback = `${appURL}/auth/callback`) {
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: Object.values(clients).map(({ id, secret }) => ({
      client_id: id,
      ...(secret ? { client_secret: secret } : { token_endpoint_auth_method: 'none' }),
      redirect_uris: [callback],
      post_logout_redirect_uris: [`${appURL}/`],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    })),
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, name: `Name of ${sub}`, email: `${sub}@example.test`, email_verified: true }),
    }),
    pkce: { required: () => true },
    cookies: { keys: ['interop'] },
  });
  let tokenRequests = 0;
  const handle = provider.callback();
  const server = http.createServer((request, response) => {
    if (request.url.startsWith('/token')) tokenRequests += 1;
    handle(request, response);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    issuer,
    tokenRequests: () => tokenRequests,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
