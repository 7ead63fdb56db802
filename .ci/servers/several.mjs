// Tests an application with three providers, at each of them:
//
//     node several.mjs BINARY PYTHON
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Browser, inputs, links, press } from './browser.mjs';
import * as django from './django.mjs';
import * as oauth2Server from './oauth2-server.mjs';
import * as oidcProvider from './oidc-provider.mjs';
import * as program from './program.mjs';

const [binary, python] = process.argv.slice(2);
const [appPort, ...ports] = await Promise.all(Array.from({ length: 4 }, program.freePort));
const app = `http://127.0.0.1:${appPort}`;
const origins = ports.map((port) => `http://127.0.0.1:${port}`);
const callback = (name) => `${app}/auth/callback/${name}`;
const secrets = new Set(); // must not appear in the application's log
const challenges = new Set(); // all of them
const step = (server, what) => console.log(`ok  three providers in one application, ${server.name}: ${what}`);

const servers = [
  {
    name: 'oidc-provider', client: oidcProvider.clients.confidential,
    issuer: origins[0], authorization: `${origins[0]}/auth`, token: `${origins[0]}/token`, logout: `${origins[0]}/session/end`,
    user: { subject: 'ada', name: 'Name of ada', email: 'ada@example.test' },
    start: () => oidcProvider.start(ports[0], app, callback('oidc-provider')),
  },
  {
    name: 'oauth2-server', client: oauth2Server.client, plain: true,
    issuer: origins[1], authorization: `${origins[1]}/authorize`, token: `${origins[1]}/token`,
    user: { subject: '4711', name: 'Name of ada', email: '' },
    start: () => oauth2Server.start(ports[1], callback('oauth2-server')),
  },
  {
    name: 'django-oauth-toolkit', client: django.client,
    issuer: `${origins[2]}/o`, authorization: `${origins[2]}/o/authorize/`, token: `${origins[2]}/o/token/`, logout: `${origins[2]}/o/logout/`,
    user: { subject: '1', name: 'Name of ada', email: 'ada@example.test' },
    start: () => django.start(python, ports[2], app, callback('django-oauth-toolkit')),
  },
];
for (const { client } of servers) secrets.add(client.secret);

let running;
try {
  await Promise.all(servers.map(async (server) => { server.running = await server.start(); }));
  running = program.start(binary, [], {
    ADDR: `127.0.0.1:${appPort}`, SESSION_KEY: 'a session key of thirty-two bytes or more', PROVIDERS: JSON.stringify(servers.map(provider)),
  });
  await program.eventually(async () => assert.equal((await new Browser().get(`${app}/`)).status, 200));
  for (const server of servers) {
    const ada = new Browser();
    await logIn(ada, server);
    await wrongVerifierIsRefused(server);
    await injectedCodeIsRefused(ada, server);
    await logOut(ada, server);
    remember(ada);
  }
  for (const one of servers) {
    for (const other of servers) if (one !== other) await mixUpIsRefused(one, other);
  }
  nothingLeaked();
} catch (error) {
  console.error(`FAILED  ${error.stack}\nthe application printed:\n${running?.output()}`);
  console.error(`Django printed:\n${servers[2].running?.output()}`);
  process.exitCode = 1;
} finally {
  running?.kill();
  await Promise.all(servers.map((server) => server.running?.stop()));
  process.exit(); // also when a server is still starting
}

// provider returns the application's settings for a server.
function provider({ name, client, plain, issuer, authorization, token }) {
  const registered = { Name: name, ClientID: client.id, ClientSecret: client.secret };
  if (!plain) return { ...registered, Issuer: issuer, Requests: { UserInfo: true } };
  return {
    ...registered, Scopes: ['user'], UserURL: `${issuer}/user`,
    Plain: true, Client: { AuthMethod: 'client_secret_post' }, Endpoints: { AuthURL: authorization, TokenURL: token },
  };
}

// choose opens the guarded page, chooses a server on the chooser, and returns the
// authorization request.
async function choose(browser, { name, client, plain, authorization }) {
  const chooser = await browser.follow(await browser.get(`${app}/me`));
  assert.equal(chooser.status, 200);
  const choices = links(chooser);
  for (const server of servers) assert.ok(choices.has(server.name), `no choice of ${server.name}: ${chooser.body}`);
  const begun = await browser.get(choices.get(name));
  assert.ok([302, 303].includes(begun.status), `the choice answers ${begun.status}: ${begun.body}`);
  const to = new URL(begun.location);
  const query = Object.fromEntries(to.searchParams);
  assert.equal(to.origin + to.pathname, authorization);
  assert.equal(query.response_type, 'code');
  assert.equal(query.client_id, client.id);
  assert.equal(query.redirect_uri, callback(name));
  assert.equal(query.scope, plain ? 'user' : 'openid profile email');
  assert.equal(query.code_challenge_method, 'S256');
  assert.match(query.code_challenge, /^[\w-]{43}$/);
  assert.ok(!challenges.has(query.code_challenge), 'the challenge of another login');
  assert.ok(query.state.length >= 43 && (plain || query.nonce.length >= 43));
  challenges.add(query.code_challenge);
  secrets.add(query.state);
  if (query.nonce) secrets.add(query.nonce);
  return to;
}

// passForms fills in a server's forms. It returns the URL to which the server then
// redirects, without opening it.
async function passForms(browser, authorization) {
  const atApp = (address) => address.startsWith(`${app}/`);
  let answer = await browser.follow(await browser.get(authorization), atApp);
  while (!answer.location) answer = await browser.follow(await press(browser, answer), atApp);
  const returned = new URL(answer.location);
  assert.ok(returned.searchParams.has('code'), `the server answers ${returned}`);
  secrets.add(returned.searchParams.get('code'));
  return returned;
}

async function logIn(browser, server) {
  const before = await tokenRequests();
  const returned = await passForms(browser, await choose(browser, server));
  assert.equal(returned.origin + returned.pathname, callback(server.name));
  const ended = await browser.get(returned);
  assert.ok([302, 303].includes(ended.status), `the callback answers ${ended.status}: ${ended.body}`);
  assert.equal(ended.location, `${app}/me`);
  const { claims, ...user } = await whoAmI(browser);
  assert.deepEqual(user, { issuer: server.issuer, ...server.user });
  const expected = { ...before, [server.name]: before[server.name] + 1 };
  assert.deepEqual(await tokenRequests(), expected, 'token requests, of which there is one');
  step(server, `guarded page, chooser, S256 challenge, its own forms, guarded page; ${user.subject} of ${user.issuer}`);
}

// A stolen code is useless without the verifier, even with the client secret. The
// server accepts the same request with the verifier.
async function wrongVerifierIsRefused(server) {
  const victim = new Browser();
  const stolen = await passForms(victim, await choose(victim, server));
  await refused(server, stolen, verifier());

  const [right, wrong] = [verifier(), verifier()];
  const known = async () => {
    const browser = new Browser();
    const authorization = await choose(browser, server);
    authorization.searchParams.set('code_challenge', createHash('sha256').update(right).digest('base64url'));
    return passForms(browser, authorization);
  };
  await refused(server, await known(), wrong);
  await refused(server, await known(), undefined);
  const redeemed = await redeem(server, await known(), right);
  assert.equal(redeemed.status, 200, redeemed.body);
  assert.ok(JSON.parse(redeemed.body).access_token);
  step(server, 'rejects a code with a wrong verifier or none, and accepts it with the right one');
}

function verifier() {
  return randomBytes(32).toString('base64url');
}

async function refused(server, returned, withVerifier) {
  const answer = await redeem(server, returned, withVerifier);
  assert.equal(answer.status, 400, answer.body);
  const allowed = withVerifier ? ['invalid_grant'] : ['invalid_grant', 'invalid_request'];
  assert.ok(allowed.includes(JSON.parse(answer.body).error), answer.body);
}

function redeem({ name, client, plain, token }, returned, withVerifier) {
  const fields = { grant_type: 'authorization_code', code: returned.searchParams.get('code'), redirect_uri: callback(name) };
  if (withVerifier) fields.code_verifier = withVerifier;
  const headers = {};
  if (plain) Object.assign(fields, { client_id: client.id, client_secret: client.secret });
  else headers.Authorization = `Basic ${Buffer.from(`${client.id}:${encodeURIComponent(client.secret)}`).toString('base64')}`;
  return new Browser().go('POST', token, { headers, body: new URLSearchParams(fields).toString() });
}

// An attacker cannot inject a code into another login of the application. Without an
// ID token and its nonce, only PKCE prevents it.
async function injectedCodeIsRefused(ada, server) {
  const [attacker, victim] = [new Browser(), new Browser()];
  const theirs = await passForms(attacker, await choose(attacker, server));
  const own = await passForms(victim, await choose(victim, server));
  own.searchParams.set('code', theirs.searchParams.get('code'));
  const before = await tokenRequests();
  const injected = await victim.get(own);
  assert.equal(injected.status, 403);
  assert.match(injected.body, /code_refused/);
  assert.equal((await tokenRequests())[server.name], before[server.name] + 1);
  assert.equal(await whoAmI(victim), undefined);
  assert.equal((await whoAmI(ada)).subject, server.user.subject);
  remember(attacker, victim);
  step(server, 'a code of another login is rejected, and starts no session');
}

async function logOut(browser, server) {
  const out = await browser.logOut(app);
  assert.equal(await whoAmI(browser), undefined);
  if (server.plain) {
    assert.equal(out.location, `${app}/`);
    step(server, 'logout ends the session');
    return;
  }
  const to = new URL(out.location);
  assert.equal(to.origin + to.pathname, server.logout);
  assert.equal(to.searchParams.get('post_logout_redirect_uri'), `${app}/`);
  secrets.add(to.searchParams.get('id_token_hint'));
  const left = await browser.follow(await press(browser, await browser.follow(out)));
  assert.equal(left.status, 200);
  assert.equal(new URL(left.url).origin + new URL(left.url).pathname, `${app}/`);
  const afterwards = await browser.follow(await browser.get(await choose(browser, server)));
  assert.ok(inputs(afterwards.body).some(({ type }) => type === 'password'), 'the server did not end its own session');
  step(server, 'logout ends the session, then the server\'s session, and redirects back');
}

// A mix-up: one server's response at the other's callback, with its own iss and with
// the other's, and one server's response with the state of a login at the other. None
// may lead to a token request.
async function mixUpIsRefused(one, other) {
  const browser = new Browser();
  const before = await tokenRequests();
  for (const disguised of [false, true]) {
    const delivered = await passForms(browser, await choose(browser, one));
    if (disguised) delivered.searchParams.delete('iss');
    if (disguised && !other.plain) delivered.searchParams.set('iss', other.issuer);
    await untrusted(browser, callback(other.name) + delivered.search);
  }

  const [mine, theirs] = [await passForms(browser, await choose(browser, one)), await passForms(browser, await choose(browser, other))];
  theirs.searchParams.set('state', mine.searchParams.get('state'));
  await untrusted(browser, callback(one.name) + theirs.search);
  assert.deepEqual(await tokenRequests(), before, 'a code was sent');
  remember(browser);
  step(one, `a mix-up with ${other.name} is rejected without a token request`);
}

async function untrusted(browser, address) {
  const answer = await browser.get(address);
  assert.equal(answer.status, 400, answer.body);
  assert.match(answer.body, /callback_untrusted/);
  assert.equal(await whoAmI(browser), undefined);
}

// tokenRequests returns the number of token requests at each server.
async function tokenRequests() {
  return Object.fromEntries(await Promise.all(servers.map(async ({ name, running: { tokenRequests: count } }) => [name, await count()])));
}

async function whoAmI(browser) {
  const answer = await browser.go('GET', `${app}/me`, { headers: { Accept: 'application/json', 'Sec-Fetch-Mode': 'cors' } });
  return answer.status === 401 ? undefined : JSON.parse(answer.body);
}

function remember(...browsers) {
  for (const browser of browsers) for (const value of browser.seen) secrets.add(value);
}

function nothingLeaked() {
  const { secrets: atServer } = servers[1].running;
  assert.ok(atServer.size >= 4, 'the server saw no verifiers and issued no tokens');
  for (const secret of atServer) secrets.add(secret);
  const output = running.output();
  assert.ok(output.includes('pixy: request failed'), 'the failures above were not logged');
  for (const secret of secrets) {
    if (secret?.length > 8) assert.ok(!output.includes(secret), 'a secret is in the application\'s log');
  }
  console.log(`ok  three providers in one application: none of ${secrets.size} secrets is in its log`);
}
