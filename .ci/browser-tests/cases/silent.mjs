// Logins with prompt=none: the provider logs in a user whom it knows, and asks nobody.
import assert from 'node:assert/strict';
import { checkSpecial } from './check.mjs';

checkSpecial('silent login without a user', 'the browser goes on as nobody, sees no form, and can still log in', async (ada) => {
  const page = await ada.tab('/quietly');
  await ada.arrivesAt(page, '/');
  await ada.reads(page, 'You are not logged in');
  assert.ok(ada.visited.some((url) => url.includes('prompt=none')), 'the provider was not asked');
  assert.ok(!page.url().includes('?'), 'something is left in the address bar');
  assert.equal(await ada.sessionCookie(), undefined);
  assert.equal(await ada.attempts(), 0);
  await page.goBack();
  await page.goForward();
  await ada.reads(page, 'You are not logged in');
  await page.getByRole('link', { name: 'private page' }).click();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
});

checkSpecial('silent login', 'of a user whom the provider knows; a session goes on when the provider knows nobody any more', async (ada) => {
  await ada.logIn('/me');
  const ours = new RegExp('pixy');
  await ada.context.clearCookies({ name: ours });
  const page = await ada.tab('/');
  await ada.reads(page, 'You are not logged in');
  await ada.open(page, '/quietly');
  await ada.arrivesAt(page, '/');
  await ada.reads(page, 'Hello, Grace Hopper');
  const session = await ada.sessionCookie();
  assert.ok(session);
  await ada.context.clearCookies({ name: 'provider-session' });
  await ada.open(page, '/quietly');
  await ada.arrivesAt(page, '/');
  await ada.reads(page, 'Hello, Grace Hopper');
  assert.equal(await ada.sessionCookie(), session, 'the session is another one');
});
