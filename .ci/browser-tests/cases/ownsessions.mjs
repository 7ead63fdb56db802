// An application with sessions of its own, under a base path.
import assert from 'node:assert/strict';
import { ask } from '../person.mjs';
import { checkSpecial } from './check.mjs';

checkSpecial('own sessions', 'login, a second login that is linked to the account, and logout', async (ada) => {
  const page = await ada.tab('/reader/');
  await ada.reads(page, 'You are not logged in');
  await page.getByRole('link', { name: 'private page' }).click();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/reader/me');
  await ada.reads(page, 'Grace Hopper');
  const { account } = (await ask(page, '/reader/me')).body;

  await page.getByRole('button', { name: 'Link another login' }).click();
  await ada.isAsked(page);
  await ada.sayWho(page, 'Grace at work', 'grace@work.example.test');
  await ada.arrivesAt(page, '/reader/me');
  await ada.reads(page, 'Grace Hopper'); // the account's name
  const { body } = await ask(page, '/reader/me');
  assert.equal(body.account, account);
  assert.equal(body.identities.length, 2);

  const names = [...(await ada.cookies()).keys()];
  assert.ok(names.includes('ownsessions_reader'), names.join(' '));
  assert.ok(!names.some((name) => name.endsWith('-session')), 'pixy has a session, too');
  await page.getByRole('button', { name: 'Log out' }).click();
  await ada.reads(page, 'You are not logged in');
  assert.equal(new URL(page.url()).pathname, '/reader/');
  assert.equal((await ask(page, '/reader/me')).status, 401);

  await page.getByRole('link', { name: 'Log in' }).click();
  await ada.sayWho(page, 'Grace at work', 'grace@work.example.test');
  await ada.arrivesAt(page, '/reader/me');
  assert.equal((await ask(page, '/reader/me')).body.account, account);
});
