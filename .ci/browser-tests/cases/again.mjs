// A callback that comes again, or without its attempt.
import assert from 'node:assert/strict';
import { check } from './check.mjs';

check('back to the provider', 'and Continue once more: the page of that login, with the session as it was', async (ada) => {
  const page = await ada.logIn();
  const session = await ada.sessionCookie();
  await page.goBack();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
  assert.equal(await ada.isLoggedIn(), true);
  assert.equal(await ada.sessionCookie(), session);
});

check('back to the callback', 'of a login that was cancelled before: home, still logged in', async (ada) => {
  const page = await ada.tab('/me');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('link', { name: 'Try again' }).click();
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
  const session = await ada.sessionCookie();
  await page.goBack();
  await ada.isAsked(page);
  await page.goBack(); // the entry whose URL is the callback's
  await ada.arrivesAt(page, '/');
  await ada.reads(page, 'Hello, Grace Hopper');
  assert.equal(await ada.sessionCookie(), session);
});

check('reload of the callback', 'goes where the login went when logged in, and begins anew, once, for a stranger', async (ada, makePerson) => {
  const page = await ada.logIn();
  const session = await ada.sessionCookie();
  await ada.open(page, ada.lastCallback());
  await ada.arrivesAt(page, '/me');
  assert.equal(await ada.sessionCookie(), session);

  const stranger = await makePerson();
  const theirs = await stranger.tab(ada.lastCallback());
  await stranger.isAsked(theirs);
  assert.equal(await stranger.isLoggedIn(), false);
  await stranger.sayWho(theirs);
  await stranger.arrivesAt(theirs, '/');
  await stranger.reads(theirs, 'Hello, Grace Hopper');
});

check('reload of an error page', 'says that the login is over, and leads to a new one', async (ada) => {
  const page = await ada.tab('/me');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await ada.reads(page, 'You were not logged in');
  assert.equal((await page.reload()).status(), 400);
  await ada.reads(page, 'You were not logged in');
  await page.getByRole('link', { name: 'Try again' }).click();
  await ada.isAsked(page);
});

check('double submit', 'of one login from two tabs: the first logs in, the second ends where the first did', async (ada) => {
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
