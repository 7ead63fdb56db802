// A plain OAuth 2.0 server on loopback: no discovery, no ID token, a login form, and
// an API that returns the user of an access token. @node-oauth/oauth2-server
// implements the protocol; this module has its storage and its pages.
import http from 'node:http';
import OAuth2Server from '@node-oauth/oauth2-server';

export const client = { id: 'plain', secret: 'pl:ain%and+simple/but-long' };
const account = { id: 4711, login: 'ada', name: 'Name of ada', password: 'correct horse' };

// start runs it for an application with one callback. Access tokens expire after 8
// seconds. A refresh token works once, or always.
export async function start(port, callback, once = true) {
  const memory = remember(callback);
  const oauth = new OAuth2Server({ model: memory.model, accessTokenLifetime: 8, alwaysIssueNewRefreshToken: once });
  const secrets = new Set(); // all verifiers and tokens
  let tokenRequests = 0;

  async function authorize(request, response) {
    const { login, password } = request.body;
    if (request.query.code_challenge_method !== 'S256') return page(response, 400, '<p>PKCE is required, and S256.</p>');
    if (login !== account.login || password !== account.password) {
      // Without an action, the form posts to the page's URL, including its query.
      return page(response, 200, '<form method="post"><input type="text" name="login"><input type="password" name="password">'
        + '<button type="submit">Log in</button></form>');
    }
    return oauth.authorize(request, response, { authenticateHandler: { handle: () => account } });
  }

  async function token(request, response) {
    tokenRequests += 1;
    if (request.body.code_verifier) secrets.add(request.body.code_verifier);
    const { accessToken, refreshToken } = await oauth.token(request, response);
    for (const token of [accessToken, refreshToken]) if (token) secrets.add(token);
  }

  async function user(request, response) {
    const { user: { id, login, name } } = await oauth.authenticate(request, response, { scope: ['user'] });
    Object.assign(response, { status: 200, body: { id, login, name } });
  }

  const routes = { 'GET /authorize': authorize, 'POST /authorize': authorize, 'POST /token': token, 'GET /user': user };
  const server = http.createServer(async (incoming, outgoing) => {
    const { request, path } = await read(incoming);
    const response = new OAuth2Server.Response();
    const route = routes[`${request.method} ${path}`];
    try {
      if (route) await route(request, response);
      else page(response, 404, '<p>There is no such page.</p>');
    } catch (error) { // the library may have set an error response
      if (response.status === 200) Object.assign(response, { status: error.code ?? 500, body: { error: error.name } });
    }
    write(response, outgoing);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    tokenRequests: () => tokenRequests,
    secrets,
    endGrants: memory.clear,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}

// remember is the library's storage, in memory.
function remember(callback) {
  const registered = { id: client.id, grants: ['authorization_code', 'refresh_token'], redirectUris: [callback] };
  const [codes, tokens, refreshTokens] = [new Map(), new Map(), new Map()];
  return {
    clear: () => [codes, tokens, refreshTokens].forEach((map) => map.clear()),
    model: {
      // At the authorization endpoint the secret is null.
      getClient: (id, secret) => id === client.id && (secret === null || secret === client.secret) && registered,
      validateScope: (_, __, scope) => scope?.every((one) => one === 'user') && scope,
      verifyScope: (token, scope) => scope.every((one) => token.scope.includes(one)),
      saveAuthorizationCode: (code, of, user) => keep(codes, code.authorizationCode, { ...code, client: of, user }),
      getAuthorizationCode: (code) => codes.get(code),
      revokeAuthorizationCode: ({ authorizationCode }) => codes.delete(authorizationCode),
      saveToken: (token, of, user) => {
        const saved = keep(tokens, token.accessToken, { ...token, client: of, user });
        return token.refreshToken ? keep(refreshTokens, token.refreshToken, saved) : saved;
      },
      getAccessToken: (token) => tokens.get(token),
      getRefreshToken: (token) => refreshTokens.get(token),
      revokeToken: ({ refreshToken }) => refreshTokens.delete(refreshToken),
    },
  };
}

function keep(map, key, value) {
  map.set(key, value);
  return value;
}

// read converts node's request to the library's.
async function read(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const url = new URL(incoming.url, 'http://127.0.0.1');
  const request = new OAuth2Server.Request({
    method: incoming.method,
    headers: incoming.headers,
    query: Object.fromEntries(url.searchParams),
    body: Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())),
  });
  return { request, path: url.pathname };
}

function write({ status, headers, body }, outgoing) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const type = typeof body === 'string' ? 'text/html; charset=utf-8' : 'application/json';
  outgoing.writeHead(status, { 'content-type': type, ...headers }).end(text);
}

function page(response, status, body) {
  Object.assign(response, { status, body });
}
