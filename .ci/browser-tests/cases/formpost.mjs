// A provider on another site that answers by form_post.
import assert from 'node:assert/strict';
import { checkSpecial } from './check.mjs';

checkSpecial('form_post', 'the provider\'s form carries no cookie, all cookies are Lax, and the page in between continues by itself and leaves no history entry', async (ada) => {
  const callback = `${ada.world.app}/auth/callback`;
  const seen = [];
  ada.context.on('request', (request) => {
    if (request.url().startsWith(callback)) seen.push(request);
  });
  const page = await ada.tab('/');
  const complaints = [];
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) complaints.push(message.text());
  });
  await page.getByRole('link', { name: 'private page' }).click();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
  await ada.reads(page, 'Grace Hopper');

  assert.deepEqual(seen.map((request) => request.method()), ['POST', 'GET']);
  const [form, link] = await Promise.all(seen.map((request) => request.allHeaders()));
  assert.equal(form['sec-fetch-site'], 'cross-site');
  assert.equal(form.cookie, undefined);
  assert.equal(link['sec-fetch-site'], 'same-origin');
  assert.match(link.cookie, /pixy-login-/);
  assert.equal(link.referer, undefined);
  for (const { name, sameSite } of (await ada.cookies()).values()) assert.equal(sameSite, 'Lax', name);
  assert.equal(await ada.attempts(), 0);
  assert.deepEqual(complaints, []);

  await page.goBack();
  await ada.isAsked(page); // not the form or the page in between
});

checkSpecial('form_post without scripts', 'on both sites: one click at the provider, none in the application', async (ada, makePerson) => {
  const grace = await makePerson({ runsScripts: false });
  const page = await grace.tab('/me');
  await grace.sayWho(page);
  await page.getByRole('button', { name: 'Continue' }).click(); // submits the form, which needs a script to submit itself
  await grace.arrivesAt(page, '/me');
  await grace.reads(page, 'Grace Hopper');
});
