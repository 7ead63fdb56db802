// A single-page application, and its API behind the same cookies.
import assert from 'node:assert/strict';
import { ask } from '../person.mjs';
import { checkSpecial } from './check.mjs';

// watched opens a view in a new tab, and collects what the browser complains about.
async function watched(ada, path) {
  const page = await ada.context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of (401|502)/.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await ada.open(page, path);
  return { page, complaints };
}

async function logInAt(ada, path) {
  const { page, complaints } = await watched(ada, path);
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, path);
  return { page, complaints };
}

checkSpecial('single page', 'login from a view after #, and back to it; the API calls another one, and no script sees a token', async (ada) => {
  const { page, complaints } = await logInAt(ada, '/?a=b%20c#/profile');
  await ada.reads(page, 'Your profile');
  await page.getByText('grace@example.test').waitFor();
  await page.getByRole('link', { name: 'Home' }).click();
  await ada.reads(page, 'Hello, Grace Hopper');
  await page.getByText('You are logged in until').waitFor();

  const { issued, lifetime } = await ada.world.seen();
  await page.waitForTimeout(lifetime + 100); // the next call refreshes the token
  await page.getByRole('link', { name: 'Your profile' }).click();
  await page.getByText('grace@example.test').waitFor();
  const tokens = (await ada.world.seen()).issued;
  assert.ok(tokens.length > issued.length, 'nothing was refreshed');

  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByRole('link', { name: 'Your claims' }).click();
  await ada.arrivesAt(page, '/me');
  await ada.reads(page, 'Grace Hopper');
  const answers = await Promise.all(['/api/session', '/api/profile', '/api/note', '/me'].map((path) => ask(page, path)));
  const reached = JSON.stringify([answers, await page.content(), ada.visited, await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }, document.cookie])]);
  for (const token of tokens) assert.ok(!reached.includes(token), 'a script sees a token');
  assert.equal(await page.evaluate(() => document.cookie), '');
  assert.deepEqual(complaints, []);
});

checkSpecial('single page, session over', 'a call gets 401, the login comes in between, and what was typed is still there', async (ada) => {
  const { page, complaints } = await logInAt(ada, '/#/note');
  await page.getByLabel('Only you can read it').fill('a <b>note</b>');
  await ada.context.clearCookies({ name: /pixy/ });
  await page.getByRole('button', { name: 'Save' }).click();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/#/note');
  assert.equal(await page.getByLabel('Only you can read it').inputValue(), 'a <b>note</b>');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  assert.deepEqual((await ask(page, '/api/note')).body, { text: 'a <b>note</b>' });
  assert.deepEqual(await page.evaluate(() => ({ ...sessionStorage })), {});

  // What was typed is not shown to another user who logs in.
  await page.getByLabel('Only you can read it').fill('a secret');
  await ada.context.clearCookies({ name: /pixy/ });
  await page.getByRole('button', { name: 'Save' }).click();
  await ada.sayWho(page, 'Mallory', 'mallory@example.test');
  await ada.arrivesAt(page, '/#/note');
  assert.equal(await page.getByLabel('Only you can read it').inputValue(), '');
  assert.deepEqual(complaints, []);
});

checkSpecial('single page, logout', 'by fetch, here and at the provider; other tabs see it, and Back shows nothing', async (ada) => {
  const { page, complaints } = await logInAt(ada, '/#/profile');
  await ada.reads(page, 'Your profile');
  const other = await ada.tab('/');
  await ada.reads(other, 'Hello, Grace Hopper');
  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByRole('button', { name: 'Log out' }).click();
  await ada.reads(page, 'You are not logged in');
  await ada.arrivesAt(page, '/');
  assert.deepEqual([...(await ada.cookies()).keys()].filter((name) => name.includes('pixy')), []);
  assert.equal(ada.visited.filter((url) => url.includes('/end-session?')).length, 1);
  assert.equal((await ada.context.cookies()).find(({ name }) => name === 'provider-session'), undefined);
  assert.equal((await ask(page, '/me')).status, 401);
  await other.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))); // as when the tab is opened again
  await ada.reads(other, 'You are not logged in');
  await page.goBack();
  await page.waitForLoadState();
  assert.equal(await page.getByText('Grace').count(), 0);
  assert.deepEqual(complaints, []);
});

checkSpecial('single page, session lost', 'a session that does not last ends on a page that says so, and not in a circle', async (ada) => {
  const { page } = await watched(ada, '/#/profile');
  const told = page.getByText('session_lost');
  for (let logins = 0; !await told.count(); logins += 1) {
    assert.ok(logins < 4, 'the browser goes in a circle');
    await ada.isAsked(page); // a first time may be chance
    await ada.sayWho(page);
    await page.waitForURL((url) => url.origin === ada.world.app);
    await told.or(page.getByRole('heading', { name: 'Who are you?' })).waitFor();
  }
});
