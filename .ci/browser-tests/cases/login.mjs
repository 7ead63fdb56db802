// Login and logout.
import assert from 'node:assert/strict';
import { ask } from '../person.mjs';
import { check } from './check.mjs';

check('whole login', 'home, the guarded page, the provider, and back to the guarded page', async (ada) => {
  const page = await ada.tab('/');
  await ada.reads(page, 'You are not logged in');
  await page.getByRole('link', { name: 'private page' }).click();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
  await ada.reads(page, 'Grace Hopper');
  const { status, body } = await ask(page, '/me');
  assert.equal(status, 200);
  assert.equal(body.email, 'grace@example.test');
  assert.equal(await ada.attempts(), 0);
  await page.getByRole('link', { name: 'Home' }).click();
  await ada.reads(page, 'Hello, Grace Hopper');
});

check('five tabs', 'all log in at once, and each ends on its own page', async (ada) => {
  const paths = [1, 2, 3, 4, 5].map((n) => `/me?tab=${n}&next=a%20b`);
  const tabs = await Promise.all(paths.map((path) => ada.tab(path)));
  await Promise.all(tabs.map((tab) => ada.isAsked(tab)));
  assert.equal(await ada.attempts(), 5);
  await Promise.all(tabs.map(async (tab, i) => {
    await ada.sayWho(tab);
    await ada.arrivesAt(tab, paths[i]);
    await ada.reads(tab, 'Grace Hopper');
  }));
  assert.equal(await ada.attempts(), 0);
});

check('cancel', 'at the provider ends on a page that says so and links to a new login', async (ada) => {
  const page = await ada.tab('/me');
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().startsWith(`${ada.world.app}/auth/callback`)),
    page.getByRole('button', { name: 'Cancel' }).click(),
  ]);
  assert.equal(answer.status(), 403);
  await ada.reads(page, 'You were not logged in');
  await page.getByText('(access_denied)').waitFor();
  assert.equal(await ada.isLoggedIn(), false);
  await page.getByRole('link', { name: 'Try again' }).click();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
});

check('logout', 'in one tab is seen in the other', async (ada) => {
  const one = await ada.logIn();
  const other = await ada.tab('/me');
  await ada.reads(other, 'Grace Hopper');
  await one.getByRole('button', { name: 'Log out', exact: true }).click();
  await ada.reads(one, 'You are not logged in');
  assert.ok(ada.visited.some((url) => url.includes('/end-session?')), 'the provider was not told');
  assert.equal((await ask(other, '/me')).status, 401);
  await other.reload();
  await ada.isAsked(other);
  assert.deepEqual([...(await ada.cookies()).keys()].filter((name) => !name.includes('pixy-login-')), []);
});

check('keyboard', 'alone is enough to log in and out', async (ada) => {
  const page = await ada.tab('/');
  const tabTo = async (name) => {
    const wanted = () => page.evaluate(() => document.activeElement.textContent.trim());
    for (let presses = 0; await wanted() !== name; presses += 1) {
      assert.ok(presses < 10, `${name} cannot be reached`);
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
  };
  await tabTo('Log in');
  await ada.isAsked(page);
  await page.keyboard.press('ControlOrMeta+A'); // the first field has the focus
  await page.keyboard.type('grace@example.test');
  await page.keyboard.press('Tab');
  await page.keyboard.type('Grace Hopper');
  await page.keyboard.press('Enter');
  await ada.arrivesAt(page, '/me');
  await ada.reads(page, 'Grace Hopper');
  await tabTo('Log out');
  await ada.reads(page, 'You are not logged in');
});
