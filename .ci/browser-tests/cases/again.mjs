// Callbacks that are opened again, or without their attempt.
import assert from 'node:assert/strict';
import { check } from './check.mjs';

check('back to the provider', 'and Continue again: the page of that login, with the session unchanged', async (ada) => {
  const page = await ada.logIn();
  const session = await ada.sessionCookie();
  await page.goBack();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
  assert.equal(await ada.isLoggedIn(), true);
  assert.equal(await ada.sessionCookie(), session);
});

check('back to the callback', 'of a canceled login: home, still logged in', async (ada) => {
  const page = await ada.tab('/me');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('link', { name: 'Try again' }).click();
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
  const session = await ada.sessionCookie();
  await page.goBack();
  await ada.isAsked(page);
  await page.goBack(); // the history entry with the callback's URL
  await ada.arrivesAt(page, '/');
  await ada.reads(page, 'Hello, Grace Hopper');
  assert.equal(await ada.sessionCookie(), session);
});

check('reload of the callback', 'with a session leads to the page of the login, and without one begins one new login', async (ada, makePerson) => {
  const page = await ada.logIn();
  const session = await ada.sessionCookie();
  await ada.open(page, ada.lastCallback());
  await ada.arrivesAt(page, '/me');
  assert.equal(await ada.sessionCookie(), session);

  const visitor = await makePerson();
  const theirs = await visitor.tab(ada.lastCallback());
  await visitor.isAsked(theirs);
  assert.equal(await visitor.isLoggedIn(), false);
  await visitor.sayWho(theirs);
  await visitor.arrivesAt(theirs, '/');
  await visitor.reads(theirs, 'Hello, Grace Hopper');
});

check('reload of an error page', 'says that the login has ended, and links to a new one', async (ada) => {
  const page = await ada.tab('/me');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await ada.reads(page, 'You were not logged in');
  assert.equal((await page.reload()).status(), 400);
  await ada.reads(page, 'You were not logged in');
  await page.getByRole('link', { name: 'Try again' }).click();
  await ada.isAsked(page);
});

check('double submit', 'of one login from two tabs: the first logs in, the second ends on the same page', async (ada) => {
  const one = await ada.tab('/me');
  await ada.isAsked(one);
  const two = await ada.tab(one.url());
  await ada.sayWho(one);
  await ada.arrivesAt(one, '/me');
  const session = await ada.sessionCookie();
  await ada.sayWho(two);
  await ada.arrivesAt(two, '/me');
  await ada.reads(two, 'Grace Hopper');
  assert.equal(await ada.sessionCookie(), session);
});

check('cookies lost', 'while at the provider: one new login, which succeeds', async (ada) => {
  const page = await ada.tab('/me');
  await ada.isAsked(page);
  await ada.context.clearCookies();
  await ada.sayWho(page);
  await page.waitForURL((url) => url.searchParams.get('state')?.endsWith('-r'));
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/');
  await ada.reads(page, 'Hello, Grace Hopper');
});
