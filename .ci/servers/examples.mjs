// Tests logins of one example application at the certified provider:
//
//     node examples.mjs BINARY confidential|public
import assert from 'node:assert/strict';
import { Browser, form } from './browser.mjs';
import { clients, start } from './oidc-provider.mjs';
import * as program from './program.mjs';

const [binary, kind] = process.argv.slice(2);
const client = clients[kind];
const label = `${binary.split('/').pop()} (${kind} client)`;
const secrets = new Set(); // must not appear in the application's log
const step = (what) => console.log(`ok  ${label}: ${what}`);

const [providerPort, appPort] = [await program.freePort(), await program.freePort()];
const app = `http://127.0.0.1:${appPort}`;
const callback = `${app}/auth/callback`;
const issuer = `http://127.0.0.1:${providerPort}`;
let provider;
const running = startApp();

try {
  await appStartsWithoutProvider();
  const ada = new Browser();
  const used = await logIn(ada);
  await guardAnswersPrograms();
  await wrongVerifierIsRefused(ada);
  await callbackIsNotReplayed(ada, used);
  await guardDoesWithoutProvider(ada);
  await logOut(ada);
  nothingLeaked(ada);
} catch (error) {
  console.error(`FAILED  ${label}: ${error.stack}\nthe application printed:\n${running.output()}`);
  process.exitCode = 1;
} finally {
  running.kill();
  await provider?.stop();
}

async function appStartsWithoutProvider() {
  await program.eventually(async () => assert.equal((await new Browser().get(`${app}/`)).status, 200));
  const answer = await new Browser().get(`${app}/auth/login`);
  assert.equal(answer.status, 503);
  assert.ok(answer.headers['retry-after'], 'no Retry-After');
  provider = await start(providerPort, app);
  await program.eventually(async () => assert.equal((await new Browser().get(`${app}/auth/login`)).status, 303));
  step('starts while the provider is down, and logs in when it is up');
}

// logIn opens the guarded page, logs in, and returns the callback's URL.
async function logIn(browser) {
  const begun = await browser.get(`${app}/me`);
  assert.ok([302, 303].includes(begun.status), `/me answers ${begun.status}`);
  const to = new URL(begun.location);
  const query = Object.fromEntries(to.searchParams);
  assert.equal(to.origin + to.pathname, `${issuer}/auth`);
  assert.equal(query.response_type, 'code');
  assert.equal(query.client_id, client.id);
  assert.equal(query.redirect_uri, callback);
  assert.equal(query.code_challenge_method, 'S256');
  assert.match(query.code_challenge, /^[\w-]{43}$/);
  assert.ok(query.state.length >= 43 && query.nonce.length >= 43);
  assert.ok(query.scope.split(' ').includes('openid'));
  step('a guarded page leads to the provider, with an S256 challenge');

  const returned = await passForms(browser, begun.location);
  const ended = await browser.get(returned);
  assert.ok([302, 303].includes(ended.status), `the callback answers ${ended.status}: ${ended.body}`);
  assert.equal(ended.location, `${app}/me`);
  const me = await whoAmI(browser);
  assert.equal(me.subject, 'ada');
  assert.equal(me.issuer, issuer);
  assert.equal(me.name, 'Name of ada');
  assert.equal(me.email, 'ada@example.test');
  assert.equal(me.claims.email_verified, true);
  assert.match((await browser.get(`${app}/me`)).body, /Name of ada/);
  step('login through the provider\'s own forms, then the guarded page');
  return returned;
}

// passForms fills in the provider's login and consent forms. It returns the URL to
// which the provider then redirects, without opening it.
async function passForms(browser, authorization) {
  const atApp = (address) => address.startsWith(callback);
  let answer = await browser.follow(await browser.get(authorization), atApp);
  while (!answer.location) {
    const [action, fields] = form(answer);
    if (fields.prompt === 'login') Object.assign(fields, { login: 'ada', password: 'any' });
    answer = await browser.follow(await browser.submit(action, fields), atApp);
  }
  const query = new URL(answer.location).searchParams;
  secrets.add(query.get('code')).add(query.get('state'));
  return answer.location;
}

async function whoAmI(browser) {
  const answer = await browser.go('GET', `${app}/me`, { headers: { Accept: 'application/json', 'Sec-Fetch-Mode': 'cors' } });
  return answer.status === 401 ? undefined : JSON.parse(answer.body);
}

async function guardAnswersPrograms() {
  const answer = await new Browser().go('GET', `${app}/me`, { headers: { Accept: 'application/json', 'Sec-Fetch-Mode': 'cors' } });
  assert.equal(answer.status, 401);
  assert.match(answer.headers['content-type'], /^application\/problem\+json/);
  assert.equal(JSON.parse(answer.body).code, 'login_required');
  step('a program without a session gets 401');
}

// A stolen code is useless without the verifier, even with the client secret.
async function wrongVerifierIsRefused(ada) {
  const victim = new Browser();
  const returned = await passForms(victim, (await victim.get(`${app}/auth/login?return_to=/me`)).location);
  const fields = {
    grant_type: 'authorization_code',
    code: new URL(returned).searchParams.get('code'),
    redirect_uri: callback,
    code_verifier: 'a-verifier-that-somebody-has-made-up-0123456789',
  };
  const headers = {};
  if (client.secret) {
    headers.Authorization = `Basic ${Buffer.from(`${client.id}:${encodeURIComponent(client.secret)}`).toString('base64')}`;
  } else {
    fields.client_id = client.id;
  }
  const stolen = await new Browser().go('POST', `${issuer}/token`, { headers, body: new URLSearchParams(fields).toString() });
  assert.equal(stolen.status, 400, stolen.body);
  assert.equal(JSON.parse(stolen.body).error, 'invalid_grant');
  step('the provider rejects the code with a wrong verifier');

  // An attacker cannot inject the code into another login of the application.
  const other = new Browser();
  const theirs = new URL(await passForms(other, (await other.get(`${app}/auth/login`)).location));
  const own = new URL(await passForms(victim, (await victim.get(`${app}/auth/login`)).location));
  own.searchParams.set('code', theirs.searchParams.get('code'));
  const injected = await victim.get(own.href);
  assert.ok(injected.status >= 400 && injected.status < 500, `an injected code gets ${injected.status}`);
  assert.equal(await whoAmI(victim), undefined);
  assert.equal((await whoAmI(ada)).subject, 'ada');
  step('a code of another login is rejected, and starts no session');
}

async function callbackIsNotReplayed(ada, used) {
  const before = provider.tokenRequests();
  const again = await ada.get(used);
  assert.ok([302, 303].includes(again.status) && again.location === `${app}/me`, `a reload gets ${again.status} to ${again.location}`);
  assert.equal((await whoAmI(ada)).subject, 'ada');
  const visitor = new Browser();
  await visitor.get(used);
  assert.equal(await whoAmI(visitor), undefined);
  assert.equal(provider.tokenRequests(), before);
  step('a callback that is opened again sends no code, and leads to the page only with a session');
}

async function guardDoesWithoutProvider(ada) {
  await provider.stop();
  assert.equal((await whoAmI(ada)).subject, 'ada');
  provider = await start(providerPort, app);
  assert.equal((await whoAmI(ada)).subject, 'ada');
  step('logged-in users are not affected while the provider is down');
}

async function logOut(browser) {
  const foreign = await browser.go('POST', `${app}/auth/logout`, {
    headers: { 'Sec-Fetch-Site': 'cross-site', Origin: 'http://evil.example.test' }, body: '',
  });
  assert.equal(foreign.status, 403);
  assert.equal((await whoAmI(browser)).subject, 'ada');

  const out = await browser.logOut(app);
  const to = new URL(out.location);
  assert.equal(to.origin + to.pathname, `${issuer}/session/end`);
  const hint = to.searchParams.get('id_token_hint');
  assert.equal(hint.split('.').length, 3);
  secrets.add(hint);
  assert.equal(to.searchParams.get('post_logout_redirect_uri'), `${app}/`);
  assert.ok(!to.searchParams.has('state'), 'a state, which would remain in the URL');
  assert.equal(await whoAmI(browser), undefined);
  step('logout ends the session first, then goes to the provider with a hint');

  // The provider was restarted, so its keys and sessions are new, and it cannot end
  // the session of the hint: log in and out again.
  const person = new Browser();
  await person.get(await passForms(person, (await person.get(`${app}/auth/login`)).location));
  const leaving = await person.follow(await person.logOut(app));
  const [action, fields] = form(leaving);
  const left = await person.follow(await person.submit(action, { ...fields, logout: 'yes' }));
  assert.equal(left.status, 200);
  assert.equal(new URL(left.url).origin + new URL(left.url).pathname, `${app}/`);
  const afterwards = await person.follow(await person.get(`${app}/me`));
  assert.match(afterwards.body, /name="password"/, 'the provider did not end its own session');
  step('the provider ends its own session, and redirects back');
  for (const value of person.seen) secrets.add(value);
}

function nothingLeaked(browser) {
  for (const value of browser.seen) secrets.add(value);
  if (client.secret) secrets.add(client.secret);
  const output = running.output();
  assert.ok(output.includes('pixy: request failed'), 'the failures above were not logged');
  for (const secret of secrets) {
    if (secret.length > 8) assert.ok(!output.includes(secret), 'a secret is in the application\'s log');
  }
  step(`none of ${secrets.size} secrets is in the application's log`);
}

function startApp() {
  const env = {
    ADDR: `127.0.0.1:${appPort}`, OIDC_ISSUER: issuer, OIDC_CLIENT_ID: client.id,
    SESSION_KEY: 'a session key of thirty-two bytes or more',
  };
  if (client.secret) env.OIDC_CLIENT_SECRET = client.secret;
  return program.start(binary, [], env);
}
