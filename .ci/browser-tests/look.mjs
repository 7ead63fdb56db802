// Takes a screenshot of each page, on a phone and a desktop, in light and dark mode,
// and checks layout and accessibility.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Person } from './person.mjs';
import { below, embedded, entering, lasting, loopback, tenants, withoutProvider } from './worlds.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const screens = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
const longName = 'Pablo Diego José Francisco de Paula Juan Nepomuceno María de los Remedios Hubert Wolfeschlegelsteinhausenbergerdorff';

export async function lookAtAll({ browser, parts, screenshots, example }) {
  const world = await loopback(parts, example);
  const down = await withoutProvider(parts, example);
  const replicas = await embedded(parts, 'replicas');
  const ownSessions = await below('/reader')(parts, 'ownsessions');
  const customers = await tenants(parts, 'tenants');
  const singlePage = await embedded(parts, 'spa');
  const choosing = await entering('')(parts, 'entering');
  const asking = await entering('', 'ask')(parts, 'entering');
  const mailing = await entering('', 'mail')(parts, 'entering');
  const withRoles = await lasting({ secure: false, sameSite: false, channel: 'back' })(parts, 'lasting');
  for (const [screen, viewport] of Object.entries(screens)) {
    for (const colorScheme of ['light', 'dark']) {
      const context = await browser.newContext({ viewport, colorScheme });
      const seen = [];
      const look = async (page, name, lang = 'en') => {
        await page.screenshot({ path: `${screenshots}/${name}-${screen}-${colorScheme}.png`, fullPage: true });
        if (screen === 'phone') await judge(page, `${name} (${colorScheme})`, lang); // a desktop differs only in width
        seen.push(name);
      };
      await walk(new Person(world, context), down, look);
      await walkReplicas(new Person(replicas, context), look);
      await walkOwnSessions(new Person(ownSessions, context), look);
      await walkTenants(new Person(customers, context), look);
      await walkSinglePage(new Person(singlePage, context), look);
      await walkRoles(new Person(withRoles, context), look);
      await walkCustomers(new Person(asking, context), new Person(mailing, context), look);
      await context.close();
      for (const [locale, direction] of [['de-DE', 'ltr'], ['ar-EG', 'rtl']]) {
        const abroad = await browser.newContext({ viewport, colorScheme, locale });
        await walkAbroad(new Person(choosing, abroad), direction, (page, name, lang) => look(page, `${lang}-${name}`, lang));
        await walkCustomers(new Person(asking, abroad), new Person(mailing, abroad), look);
        await abroad.close();
      }
      console.log(`ok  look, ${screen}, ${colorScheme}: ${seen.join(', ')}`);
    }
  }
}

// walk opens every page, and calls look on it.
async function walk(ada, down, look) {
  const page = await ada.tab('/');
  await ada.reads(page, 'You are not logged in');
  await look(page, 'home-anonymous');
  await ada.open(page, '/auth/logout');
  await ada.reads(page, 'You are logged out');
  await look(page, 'logged-out');
  await ada.open(page, '/me');
  await ada.isAsked(page);
  await look(page, 'who-are-you');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await ada.reads(page, 'You were not logged in');
  await look(page, '403-access-denied');
  await page.reload();
  await ada.reads(page, 'You were not logged in');
  await look(page, '400-attempt-unknown');
  await ada.open(page, `${ada.world.evil}/forms`);
  await page.getByRole('button', { name: 'You have won' }).click();
  await ada.reads(page, 'You were not logged out');
  await look(page, '403-logout-by-another-site');
  await ada.open(page, '/');
  await page.evaluate(() => document.body.append(Object.assign(document.createElement('form'), { method: 'post', action: '/me' })));
  await page.evaluate(() => document.querySelector('form').submit());
  await ada.reads(page, 'Please log in');
  await look(page, '401-login-required');
  await page.getByRole('link', { name: 'Log in' }).click();
  await ada.sayWho(page);
  await ada.reads(page, 'Hello, Grace Hopper');
  await look(page, 'home');
  await ada.open(page, '/me');
  await ada.reads(page, 'Grace Hopper');
  await look(page, 'me');
  await ada.open(page, '/auth/logout');
  await ada.reads(page, 'Log out?');
  await look(page, 'log-out');
  await ada.open(page, '/auth/login?return_to=/me');
  await ada.sayWho(page, longName);
  await ada.reads(page, longName);
  await look(page, 'me-long');
  await ada.open(page, '/');
  await ada.reads(page, `Hello, ${longName}`);
  await look(page, 'home-long');
  await ada.open(page, `${down}/me`);
  await ada.reads(page, 'Temporarily unavailable');
  await look(page, '503-provider-unavailable');
}

// walkReplicas opens the pages that only the replicas have.
async function walkReplicas(ada, look) {
  const page = await ada.tab('/');
  await ada.reads(page, 'You are not logged in');
  await look(page, 'replicas-home-anonymous');
  await ada.open(page, '/me');
  await ada.sayWho(page);
  await ada.reads(page, 'Grace Hopper');
  await look(page, 'replicas-me');
  await page.getByRole('link', { name: 'Call an API' }).click();
  await ada.reads(page, 'API call');
  await look(page, 'replicas-api');
  await ada.open(page, '/auth/login?return_to=/api');
  await ada.sayWho(page, longName);
  await ada.reads(page, 'API call');
  await look(page, 'replicas-api-long');
  await page.getByRole('link', { name: 'Home' }).click();
  await ada.reads(page, `Hello, ${longName}`);
  await look(page, 'replicas-home');
  await page.getByRole('link', { name: 'All replicas' }).click();
  await ada.reads(page, 'Balancer');
  await look(page, 'replicas-balancer');
}

// walkOwnSessions opens the pages of an application with sessions of its own.
async function walkOwnSessions(ada, look) {
  const page = await ada.tab('/reader/');
  await ada.reads(page, 'You are not logged in');
  await look(page, 'ownsessions-home-anonymous');
  await ada.open(page, '/reader/me');
  await ada.sayWho(page);
  await ada.reads(page, 'Grace Hopper');
  await look(page, 'ownsessions-me');
  await page.getByRole('button', { name: 'Link another login' }).click();
  await ada.sayWho(page, longName, 'pablo@example.test');
  await ada.reads(page, 'Grace Hopper');
  await look(page, 'ownsessions-me-linked');
  await page.getByRole('link', { name: 'Home' }).click();
  await ada.reads(page, 'Hello, Grace Hopper');
  await look(page, 'ownsessions-home');
  // Another account cannot take a login that is linked.
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('link', { name: 'Log in' }).click();
  await ada.sayWho(page, 'Mallory', 'mallory@example.test');
  await page.getByRole('button', { name: 'Link another login' }).click();
  await ada.sayWho(page);
  await ada.reads(page, 'That did not work');
  await look(page, 'ownsessions-not-linked');
}

// walkTenants opens the pages of an application with many customers.
async function walkTenants(ada, look) {
  const page = await ada.tab('/');
  await ada.reads(page, 'You are not logged in');
  await look(page, 'tenants-home-anonymous');
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByRole('textbox').waitFor();
  await look(page, 'tenants-which-customer');
  await page.getByRole('textbox').fill('ada@unknown.test');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.waitForLoadState();
  await look(page, 'tenants-unknown-customer');
  await page.getByRole('textbox').fill('ada@acme.test');
  await page.getByRole('button', { name: 'Continue' }).click();
  await ada.sayWho(page);
  await ada.reads(page, 'Hello, Grace Hopper');
  await look(page, 'tenants-home');
  await page.getByRole('link', { name: 'a site of its own' }).click();
  await ada.sayWho(page, longName);
  await ada.reads(page, `Hello, ${longName}`);
  await look(page, 'tenants-customer');
  await page.getByRole('link', { name: 'Your account' }).click();
  await ada.reads(page, longName);
  await look(page, 'tenants-me');
  await ada.open(page, `${ada.world.at('unknown')}/`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await look(page, '421-host-unknown');
  await ada.open(page, `http://admin:${encodeURIComponent(ada.world.password)}@${new URL(ada.world.app).host}/admin`);
  await ada.reads(page, 'Customers');
  await look(page, 'tenants-admin');
  await page.getByLabel('Name').fill('initech');
  await page.getByLabel('Issuer').fill(`${ada.world.unused}/nobody`);
  await page.getByRole('button', { name: 'Continue' }).click();
  await ada.reads(page, 'New customer: initech');
  await look(page, 'tenants-new');
  await page.getByLabel('Client ID').fill('toy-client');
  await page.getByLabel('Secret').fill('toy-secret');
  await page.getByRole('button', { name: 'Add initech' }).click();
  await page.getByRole('alert').waitFor();
  await look(page, 'tenants-new-failed');
}

// walkSinglePage opens the views of a single-page application.
async function walkSinglePage(ada, look) {
  const page = await ada.tab('/');
  await ada.reads(page, 'You are not logged in');
  await look(page, 'spa-home-anonymous');
  await page.getByRole('link', { name: 'Your profile' }).click();
  await ada.sayWho(page, longName);
  await ada.reads(page, 'Your profile');
  await look(page, 'spa-profile');
  await page.getByRole('link', { name: 'Home' }).click();
  await ada.reads(page, `Hello, ${longName}`);
  await look(page, 'spa-home');
  await page.getByRole('link', { name: 'Your note' }).click();
  await ada.reads(page, 'Your note');
  await page.getByLabel('Only you can read it').fill('Buy milk');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  await look(page, 'spa-note');
  await ada.open(page, '/me');
  await ada.reads(page, longName);
  await look(page, 'spa-me');
  await page.route('**/api/profile', (route) => route.fulfill({ status: 502, json: { detail: 'Your profile is not available at the moment.' } }));
  await ada.open(page, '/#/profile');
  await ada.reads(page, 'That did not work');
  await look(page, 'spa-error');
}

// walkRoles opens a page as a user who may not.
async function walkRoles(ada, look) {
  const page = await ada.tab('/report');
  await ada.sayWho(page);
  await ada.reads(page, 'Access denied');
  await look(page, '403-not-allowed');
}

// walkAbroad opens pixy's pages in another language.
async function walkAbroad(ada, direction, look) {
  const page = await ada.context.newPage();
  const see = async (name) => {
    await page.locator('main').waitFor();
    const lang = await page.locator('html').getAttribute('lang');
    assert.equal(await page.locator('body').evaluate((body) => getComputedStyle(body).direction), direction, `${lang}, ${name}`);
    await look(page, name, lang);
  };
  await ada.open(page, '/private/report');
  await see('choose');
  await page.getByRole('link', { name: 'Bundesanstalt' }).click();
  await see('503-provider-unavailable');
  await ada.open(page, '/auth/logout');
  await see('logged-out');
  await ada.open(page, '/');
  await page.getByRole('button', { name: 'Send' }).click();
  await see('401-form');
  await ada.open(page, `${ada.world.evil}/forms`);
  await page.getByRole('button', { name: 'You have won' }).click();
  await see('403-logout-by-another-site');
  await ada.open(page, '/auth/callback/work?state=x&code=x');
  await see('400-attempt-unknown');
  await ada.open(page, '/auth/login?provider=work');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await see('403-access-denied');
  await ada.open(page, '/auth/login?provider=work');
  await ada.sayWho(page);
  await ada.reads(page, 'Grace Hopper');
  await ada.open(page, '/auth/logout');
  await see('log-out');
}

// walkCustomers opens the pages that ask for a customer, in the language of the browser.
async function walkCustomers(asked, mailed, look) {
  const see = async (page, name) => {
    await page.locator('main').waitFor();
    const lang = await page.locator('html').getAttribute('lang');
    await look(page, `${lang}-${name}`, lang);
  };
  const types = async (page, text) => {
    await page.locator('input[name=customer]').fill(text);
    await page.locator('form button').click();
  };
  const page = await asked.tab('/private/report');
  await see(page, 'customer');
  await types(page, `${'long.'.repeat(20)}name@nowhere.example`);
  await page.getByRole('alert').waitFor();
  await see(page, 'customer-unknown');
  const mail = await mailed.tab('/private/report');
  await types(mail, 'شركة');
  await mail.getByRole('alert').waitFor();
  await see(mail, 'customer-no-address');
  await types(mail, 'ada@acme.example');
  await mail.locator('input').waitFor({ state: 'detached' });
  await see(mail, 'customer-link');
}

async function judge(page, name, lang) {
  assert.equal(await page.locator('h1').count(), 1, `${name}: h1`);
  assert.ok(await page.title(), `${name}: title`);
  assert.equal(await page.locator('html').getAttribute('lang'), lang, `${name}: lang`);
  await fits(page, name);
  await focusIsSeen(page, name);
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate((values) => axe.run(document, { runOnly: { type: 'tag', values } }), rules);
  assert.ok(passes.some(({ id }) => id === 'color-contrast'), `${name}: contrast was not measured`);
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), [], name);
}

// fits requires that the page does not scroll sideways (WCAG 2.1, 1.4.10).
async function fits(page, name) {
  const viewport = page.viewportSize();
  for (const width of [viewport.width, 320]) {
    await page.setViewportSize({ ...viewport, width });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${name}: ${over} px too wide at ${width}`);
  }
  await page.setViewportSize(viewport);
}

// focusIsSeen presses Tab through the page, and requires a visible focus.
async function focusIsSeen(page, name) {
  const wanted = await page.locator('a, button, input:not([type=hidden]), textarea').count();
  const reached = new Set();
  for (let presses = 0; presses <= wanted; presses += 1) {
    await page.keyboard.press('Tab');
    const { what, outline } = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return { what: document.activeElement.outerHTML, outline: `${outlineStyle} ${outlineWidth}` };
    });
    if (!/^<(a|button|input|textarea)/.test(what)) continue; // the browser's own elements, between last and first
    assert.match(outline, /^solid [2-9]px$/, `${name}: the focus is not visible on ${what}`);
    reached.add(what);
  }
  assert.equal(reached.size, wanted, `${name}: not everything is reached by Tab`);
}
