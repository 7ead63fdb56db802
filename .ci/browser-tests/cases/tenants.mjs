// Customers with a provider and a host each: examples/tenants. All hosts are below
// localhost, which is one site for cookies, like the hosts of one domain.
import assert from 'node:assert/strict';
import { ask } from '../person.mjs';
import { checkSpecial } from './check.mjs';

// logInAt logs in on a customer's host, and returns the tab and the provider's origin.
async function logInAt(ada, customer) {
  const page = await ada.tab(`${ada.world.at(customer)}/`);
  await ada.isAsked(page); // by the customer's provider, without a page of ours
  const provider = new URL(page.url()).origin;
  await ada.sayWho(page, `Ada of ${customer}`, `ada@${customer}.test`);
  await ada.reads(page, `Hello, Ada of ${customer}`);
  assert.equal(page.url(), `${ada.world.at(customer)}/`);
  return { page, provider };
}

// findCustomer types an e-mail address on the main site.
async function findCustomer(ada, page, email) {
  await ada.open(page, '/');
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByRole('textbox').fill(email);
  await page.getByRole('button', { name: 'Continue' }).click();
}

// sessions returns the hosts that have set a session's cookie, and the values.
async function sessions(ada) {
  const cookies = (await ada.context.cookies()).filter(({ name }) => name === 'pixy-session');
  return new Map(cookies.map(({ domain, value }) => [domain, value]));
}

// administer opens the administrators' page.
async function administer(ada) {
  const address = new URL('/admin', ada.world.app);
  Object.assign(address, { username: 'admin', password: ada.world.password });
  const page = await ada.tab(address.href);
  await ada.reads(page, 'Customers');
  return page;
}

checkSpecial('customers on three hosts', 'each log in at their own provider, with sessions of their own', async (ada) => {
  const acme = await logInAt(ada, 'acme');
  const globex = await logInAt(ada, 'globex');
  assert.notEqual(acme.provider, globex.provider);
  const main = await ada.context.newPage();
  await findCustomer(ada, main, 'ada@globex.test');
  await ada.isAsked(main);
  assert.equal(new URL(main.url()).origin, globex.provider);
  assert.equal(await main.getByLabel('E-mail').inputValue(), 'ada@globex.test'); // the login_hint
  await ada.sayWho(main, 'Ada of globex', 'ada@globex.test');
  await ada.reads(main, 'Hello, Ada of globex');
  assert.equal(main.url(), `${ada.world.app}/`);

  const all = await sessions(ada);
  assert.deepEqual([...all.keys()].sort(), ['acme.localhost', 'app.localhost', 'globex.localhost']);
  assert.equal(new Set(all.values()).size, 3);
  for (const [tab, provider] of [[acme.page, 'acme'], [globex.page, 'globex'], [main, 'globex']]) {
    const { status, body } = await ask(tab, '/me');
    assert.deepEqual([status, body.provider, body.email], [200, provider, `ada@${provider}.test`]);
  }

  await acme.page.getByRole('button', { name: 'Log out' }).click();
  await ada.reads(acme.page, 'You are logged out');
  assert.equal(acme.page.url(), `${ada.world.at('acme')}/auth/logout`);
  assert.deepEqual([...(await sessions(ada)).keys()].sort(), ['app.localhost', 'globex.localhost']);
  assert.equal((await ask(globex.page, '/me')).status, 200);
});

checkSpecial('customers, stolen cookies', 'a session opens no other host, and scripts of one host read nothing of another', async (ada, makePerson) => {
  const acme = await logInAt(ada, 'acme');
  const session = (await sessions(ada)).get('acme.localhost');
  const thief = await makePerson();
  for (const host of ['globex', 'app']) {
    await thief.context.addCookies([{ name: 'pixy-session', value: session, url: ada.world.at(host), httpOnly: true, sameSite: 'Lax' }]);
  }
  const globex = await thief.tab(`${ada.world.at('globex')}/`);
  await thief.isAsked(globex);
  const main = await thief.tab('/');
  await thief.reads(main, 'You are not logged in');
  assert.equal((await ask(main, '/me')).status, 401);

  const other = await logInAt(ada, 'globex');
  const read = await other.page.evaluate((address) => fetch(address, { credentials: 'include' }).then(() => 'read', () => 'blocked'), `${ada.world.at('acme')}/me`);
  assert.equal(read, 'blocked');
  // A form of a sibling host sends the cookie, because browsers take it for the same site.
  await other.page.evaluate((action) => {
    document.body.append(Object.assign(document.createElement('form'), { method: 'post', action }));
    document.forms[document.forms.length - 1].submit();
  }, `${ada.world.at('acme')}/auth/logout`);
  await ada.reads(other.page, 'You were not logged out');
  assert.equal((await ask(acme.page, '/me')).status, 200);
});

checkSpecial('customers, unknown', 'an unknown host and an unknown e-mail address lead to no provider', async (ada) => {
  const page = await ada.context.newPage();
  const answer = await ada.open(page, `${ada.world.at('unknown')}/`);
  assert.equal(answer.status(), 421);
  await findCustomer(ada, page, 'ada@unknown.test');
  assert.equal(new URL(page.url()).origin, ada.world.app);
  const said = await page.getByRole('main').innerText();
  assert.ok(!/acme|globex/.test(said), said);
  const elsewhere = await ada.open(page, `${ada.world.at('acme')}/auth/login?provider=globex`);
  assert.equal(elsewhere.status(), 404);
  assert.equal((await sessions(ada)).size, 0);
});

checkSpecial('customers, administration', 'adds a customer, and removes one whose users are logged in', async (ada, makePerson) => {
  const admin = await administer(await makePerson());
  const before = await ada.context.newPage();
  assert.equal((await ada.open(before, `${ada.world.at('initech')}/`)).status(), 421);

  await admin.getByLabel('Name').fill('initech');
  await admin.getByLabel('Issuer').fill(ada.world.unused);
  await admin.getByRole('button', { name: 'Continue' }).click();
  await ada.reads(admin, 'New customer: initech');
  for (const origin of [ada.world.app, ada.world.at('initech')]) {
    await admin.getByText(`${origin}/auth/callback/initech`, { exact: true }).waitFor();
  }
  await admin.getByLabel('Client ID').fill('toy-client');
  await admin.getByLabel('Secret').fill('toy-secret');
  await admin.getByLabel('E-mail domains').fill('initech.test initech.example.test');
  await admin.getByRole('button', { name: 'Add initech' }).click();
  await ada.reads(admin, 'Customers');
  await admin.getByRole('link', { name: 'initech' }).waitFor();

  const { page } = await logInAt(ada, 'initech');
  const acme = await logInAt(ada, 'acme');
  await admin.getByRole('button', { name: 'Remove initech' }).click();
  await admin.getByRole('link', { name: 'initech' }).waitFor({ state: 'detached' });
  assert.equal((await ask(page, '/me')).status, 401);
  assert.equal((await ada.open(page, `${ada.world.at('initech')}/`)).status(), 421);
  assert.equal((await ask(acme.page, '/me')).status, 200);
});

checkSpecial('customers, forged administration', 'a form of a customer\'s host removes nobody', async (ada) => {
  await administer(ada);
  const { page } = await logInAt(ada, 'acme');
  await page.evaluate((action) => {
    const form = Object.assign(document.createElement('form'), { method: 'post', action });
    form.innerHTML = '<input name="name" value="globex">';
    document.body.append(form);
    form.submit();
  }, `${ada.world.app}/admin/remove`);
  await page.waitForURL(`${ada.world.app}/admin/remove`);
  assert.match(await page.locator('body').innerText(), /cross-origin/);
  await logInAt(ada, 'globex');
});
