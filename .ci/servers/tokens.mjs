// Tests an application that keeps tokens and lets providers end sessions. The servers'
// access tokens expire after seconds:
//
//     node tokens.mjs BINARY PYTHON
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Browser, inputs, press } from './browser.mjs';
import * as django from './django.mjs';
import * as oauth2Server from './oauth2-server.mjs';
import * as oidcProvider from './oidc-provider.mjs';
import * as program from './program.mjs';

const [binary, python] = process.argv.slice(2);
const [appPort, ...ports] = await Promise.all(Array.from({ length: 5 }, program.freePort));
const app = `http://127.0.0.1:${appPort}`;
const origins = ports.map((port) => `http://127.0.0.1:${port}`);
const callback = (name) => `${app}/auth/callback/${name}`;
const singleLogout = { backchannel_logout_uri: `${app}/auth/backchannel-logout`, backchannel_logout_session_required: true };
const browsers = new Set();
const step = ({ name }, what) => console.log(`ok  an application that keeps tokens, ${name}: ${what}`);

const certified = {
  name: 'oidc-provider', client: oidcProvider.clients.confidential, api: `${origins[0]}/me`, user: { sub: 'ada' },
  logout: `${origins[0]}/session/end`,
  registered: { Issuer: origins[0], Scopes: ['openid', 'offline_access'], Requests: { AuthParams: { prompt: ['consent'] } } },
  start: () => oidcProvider.start(ports[0], app, callback('oidc-provider'), singleLogout),
};
const servers = [
  certified, plain('oauth2-server', 1, true), plain('oauth2-server-without-rotation', 2, false),
  {
    name: 'django-oauth-toolkit', client: django.client, api: `${origins[3]}/o/userinfo/`, user: { sub: '1' },
    registered: { Issuer: `${origins[3]}/o` }, logout: `${origins[3]}/o/logout/`,
    start: () => django.start(python, ports[3], app, callback('django-oauth-toolkit')),
  },
];

let running;
try {
  await Promise.all(servers.map(async (server) => { server.running = await server.start(); }));
  running = program.start(binary, [], {
    ADDR: `127.0.0.1:${appPort}`, SESSION_KEY: 'a session key of thirty-two bytes or more', KEEP_TOKENS: 'true',
    PROVIDERS: JSON.stringify(servers.map(({ name, client, api, registered }) => (
      { Name: name, ClientID: client.id, ClientSecret: client.secret, UserURL: api, ...registered }))),
  });
  await program.eventually(async () => assert.equal((await new Browser().get(`${app}/`)).status, 200));
  for (const server of servers) {
    // The order matters: in Django OAuth Toolkit, auth_time is the time of the user's
    // last login, also in a refreshed ID token, where it must be that of its own login.
    [server.refused, server.ada] = [await logIn(server), await logIn(server)];
    await asksInTheUsersName(server, server.ada, 0);
    step(server, 'a login, and an API call with the user\'s access token');
  }
  await expiry();
  for (const server of servers) await refreshesOnce(server);
  await expiry();
  for (const server of servers) {
    server.refreshed = Math.floor(Date.now() / 1000);
    await asksInTheUsersName(server, server.ada, 1);
    step(server, 'the new refresh token works for the next refresh');
  }
  await logoutRevokes(certified);
  await logoutEndsTheServersSession(servers.at(-1));
  for (const server of servers) await refusalEndsSession(server);
  await providerEndsSessions(certified);
  nothingLeaked();
} catch (error) {
  console.error(`FAILED  ${error.stack}\nthe application printed:\n${running?.output()}`);
  console.error(`Django printed:\n${servers.at(-1).running?.output()}`);
  process.exitCode = 1;
} finally {
  running?.kill();
  await Promise.all(servers.map((server) => server.running?.stop()));
  process.exit(); // also when a server is still starting
}

// plain is a plain OAuth 2.0 server whose refresh tokens work once or always.
function plain(name, number, once) {
  const origin = origins[number];
  return {
    name, client: oauth2Server.client, api: `${origin}/user`, user: { id: 4711 },
    registered: {
      Issuer: origin, Scopes: ['user'],
      Plain: true, Client: { AuthMethod: 'client_secret_post' },
      Endpoints: { AuthURL: `${origin}/authorize`, TokenURL: `${origin}/token` },
    },
    start: () => oauth2Server.start(ports[number], callback(name), once),
  };
}

// expiry waits until all access tokens have expired.
function expiry() {
  return sleep(8_500);
}

async function logIn({ name }, browser = new Browser()) {
  browsers.add(browser);
  let answer = await browser.get(`${app}/auth/login?provider=${name}&return_to=/me`);
  const atApp = (address) => address.startsWith(app);
  answer = await browser.follow(answer, atApp);
  while (!answer.location) answer = await browser.follow(await press(browser, answer), atApp);
  const ended = await browser.get(answer.location);
  assert.equal(ended.location, `${app}/me`, `the callback answers ${ended.status}: ${ended.body}`);
  return browser;
}

// api makes the application call the server's API.
function api(browser) {
  return browser.go('GET', `${app}/api`, { headers: { Accept: 'application/json', 'Sec-Fetch-Mode': 'cors' } });
}

// asksInTheUsersName makes one such call, and counts the token requests for it.
async function asksInTheUsersName(server, browser, tokenRequests) {
  const before = await server.running.tokenRequests();
  isUsers(server, await api(browser));
  assert.equal(await server.running.tokenRequests(), before + tokenRequests);
}

function isUsers({ user }, answer) {
  assert.equal(answer.status, 200, answer.body);
  const said = JSON.parse(answer.body);
  for (const [name, value] of Object.entries(user)) assert.equal(said[name], value);
}

async function refreshesOnce(server) {
  const before = await server.running.tokenRequests();
  const answers = await Promise.all(Array.from({ length: 50 }, () => api(server.ada)));
  for (const answer of answers) isUsers(server, answer);
  assert.equal(await server.running.tokenRequests(), before + 1, 'token requests, of which there is one');
  step(server, 'after the tokens have expired, 50 concurrent requests succeed with one refresh');
}

// The tokens are revoked before the browser reaches the server's logout.
async function logoutRevokes(server) {
  const before = server.running.grants.size;
  await logoutEndsTheServersSession(server, () => {
    assert.equal(server.running.grants.size, before - 1, 'grants that are not revoked');
    step(server, 'logout has the tokens revoked');
  });
}

// The application's session ends first, then the server's. The latest ID token tells
// the server which session to end. Meanwhile runs between the two.
async function logoutEndsTheServersSession(server, meanwhile = () => {}) {
  const browser = server.ada;
  const out = await browser.logOut(app);
  assert.equal((await api(browser)).status, 401);
  const to = new URL(out.location);
  assert.equal(to.origin + to.pathname, server.logout);
  const hint = JSON.parse(Buffer.from(to.searchParams.get('id_token_hint').split('.')[1], 'base64url'));
  assert.ok(hint.iat >= server.refreshed - 1, 'the hint is not the ID token of the last refresh');
  meanwhile();
  let page = await browser.follow(out);
  if (!page.url.startsWith(`${app}/`)) page = await browser.follow(await press(browser, page));
  assert.equal(page.status, 200, page.body);
  assert.equal(new URL(page.url).origin + new URL(page.url).pathname, `${app}/`);
  const again = await browser.follow(await browser.get(`${app}/auth/login?provider=${server.name}`));
  assert.ok(inputs(again.body).some(({ type }) => type === 'password'), 'the server did not end its own session');
  step(server, 'logout ends the session, then the server\'s session, with the latest ID token');
}

async function refusalEndsSession(server) {
  const before = await server.running.tokenRequests();
  await server.running.endGrants();
  assert.equal((await api(server.refused)).status, 401);
  assert.equal(await server.running.tokenRequests(), before + 1);
  const begun = await server.refused.get(`${app}/me`);
  assert.equal(begun.status, 303);
  assert.equal(new URL(begun.location).pathname, '/auth/login');
  assert.equal(await server.running.tokenRequests(), before + 1);
  step(server, 'a rejected refresh ends the session');
}

// One session at the provider has two sessions at the application. The browser that
// logs out at the provider has the later one, because the provider's cookie changes at
// each consent. Another session at the provider continues.
async function providerEndsSessions(server) {
  const [one, elsewhere] = [await logIn(server), await logIn(server)];
  const other = await logIn(server, one.twin((name) => name.startsWith('_session')));
  const told = server.running.logoutTokens.length; // after the logout that the application began
  const confirmed = await press(other, await other.get(`${server.registered.Issuer}/session/end`));
  assert.ok([302, 303].includes(confirmed.status), confirmed.body);
  assert.deepEqual(server.running.logoutTokens.slice(told), ['taken']);
  for (const browser of [one, other]) assert.equal((await api(browser)).status, 401);
  isUsers(server, await api(elsewhere));
  step(server, 'its logout token ends all sessions of one session at the provider, and no other');
}

function nothingLeaked() {
  const secrets = new Set(servers.map(({ client }) => client.secret));
  for (const { running: server } of servers) for (const secret of server.secrets ?? []) secrets.add(secret);
  for (const { seen } of browsers) for (const value of seen) secrets.add(value);
  const output = running.output();
  assert.ok(output.includes('refresh_refused'), 'the refusals above were not logged');
  for (const secret of secrets) {
    if (secret?.length > 8) assert.ok(!output.includes(secret), 'a secret is in the application\'s log');
  }
  console.log(`ok  an application that keeps tokens: none of ${secrets.size} secrets is in its log`);
}
